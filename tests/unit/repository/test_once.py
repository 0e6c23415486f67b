"""What processes share is shared by the workers of one run, and with no other run."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.once import once


def factory(base: Path) -> Any:
    base.mkdir(parents=True, exist_ok=True)
    return SimpleNamespace(getbasetemp=lambda: base)


def made(made_in: list[Path]) -> Any:
    return lambda folder: made_in.append(folder)


def test_workers_of_a_run_share(tmp_path: Path) -> None:
    calls: list[Path] = []
    folders = {once(factory(tmp_path / f"popen-gw{i}"), "built", made(calls)) for i in range(2)}
    assert len(folders) == len(calls) == 1


def test_a_run_inside_a_worker_shares_with_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its environment says that it is a worker; its folder that it is not."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    calls: list[Path] = []
    for run in ("pytest-1", "pytest-2"):
        once(factory(tmp_path / run), "built", made(calls))
    assert len(calls) == 2

"""The command line in this process, and a sound model file."""

from collections.abc import Callable
from pathlib import Path

import pytest

import edgeq
from tests.command_line import Ended, run_told
from tests.unit.small_model import model, rows


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """run("export", ...) is the command line in this process."""
    return lambda *words: run_told(monkeypatch, capfd, *words)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("good") / "model.pt"
    edgeq.save(model(rows()), path)
    return path


@pytest.fixture
def sound(good: Path, tmp_path: Path) -> Path:
    """A sound model file in a folder of its own."""
    path = tmp_path / "model.pt"
    path.write_bytes(good.read_bytes())
    return path

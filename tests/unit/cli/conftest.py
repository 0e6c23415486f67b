"""The command line in this process, and as a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq.cli import main
from tests.hang import HANG_S

ROOT = Path(__file__).parents[3]
Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]


@pytest.fixture
def edgeq(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """edgeq("boards", cwd=..., EDGEQ_X=...) runs the command here; environment by keyword."""

    def run(*arguments: object, cwd: Path = tmp_path, **env: str) -> Ended:
        with monkeypatch.context() as here:
            here.chdir(cwd)
            here.setattr(sys, "argv", ["edgeq", *map(str, arguments)])
            for name, value in {"XDG_RUNTIME_DIR": str(tmp_path), **env}.items():
                here.setenv(name, value)
            capfd.readouterr()
            code = 0
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
        return Ended(sys.argv, code, *capfd.readouterr())

    return run


@pytest.fixture
def process(tmp_path: Path) -> Run:
    """The same as a process of its own."""

    def run(*arguments: object, cwd: Path = tmp_path, **env: str) -> Ended:
        return subprocess.run(
            [sys.executable, "-m", "edgeq", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(tmp_path), **env},
        )

    return run

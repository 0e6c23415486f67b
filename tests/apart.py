"""A tool of others in an environment of its own: they disagree about versions, or are GPL."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hang import HANG_S


def python_with(folder: Path, *packages: str) -> Path:
    """The Python of a fresh environment below `folder` with these; skips where none can be had."""
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not installed")
    python = folder / "bin" / "python"
    for command in (
        (uv, "venv", "--quiet", "--clear", folder),
        (uv, "pip", "install", "--quiet", "--python", python, *packages),
    ):
        words = [str(word) for word in command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=HANG_S)
        if done.returncode != 0:
            pytest.skip(f"no {', '.join(packages)}: {done.stderr.strip()[-200:]}")
    return python

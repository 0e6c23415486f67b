"""The differential tests once more, longer, under ASan: operands have exactly their size."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hang import HANG_S

FILES = ("fully_connected", "conv_2d", "pools", "elementwise", "softmax", "router")
DSP_FILES = ("fully_connected", "convolutions")
EXAMPLES = 200  # of each property


def asan_runtime() -> Path:
    """gcc's libasan.so, or a skip."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("no gcc on this machine")
    run = subprocess.run(
        [gcc, "-print-file-name=libasan.so"],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=True,
    )
    library = Path(run.stdout.strip())
    if not library.is_absolute():
        pytest.skip("gcc has no libasan here")
    return library.resolve()


def run_under_asan(
    folder: Path, arguments: list[str], timeout: int, **more: str
) -> "subprocess.CompletedProcess[str]":
    """What ASan says stands in folder/asan.PID: the captured stderr of pytest dies with it."""
    env = {
        **os.environ,
        "LD_PRELOAD": str(asan_runtime()),
        "ASAN_OPTIONS": f"detect_leaks=0:log_path={folder / 'asan'}",
        "EDGEQ_KERNEL_SANITIZERS": "address,undefined",
        **more,
    }
    return subprocess.run(
        [sys.executable, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def said(folder: Path) -> str:
    return "".join(path.read_text()[:8000] for path in sorted(folder.glob("asan.*")))


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_kernels_under_asan(tmp_path: Path) -> None:
    here = Path(__file__).parent
    files = [str(here / f"test_{name}.py") for name in FILES]
    files += [str(here / "dsp" / f"test_{name}.py") for name in DSP_FILES]
    options = ["-m", "pytest", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
    words = [*options, "-v", "-k", "not core and not cycles", *files]
    run = run_under_asan(tmp_path, words, 1400, EDGEQ_EXAMPLES=str(EXAMPLES))
    assert run.returncode == 0, said(tmp_path) + run.stdout[-4000:] + run.stderr[-4000:]
    assert " passed" in run.stdout
    assert " skipped" not in run.stdout


OVERRUN = """
import ctypes, pathlib, tempfile
import numpy as np
from tests.hang import HANG_S
from tests.kernels import host_kernels as h
folder = pathlib.Path(tempfile.mkdtemp())
h.build(folder)
library = ctypes.CDLL(str(folder / "kernels.so"))
x = np.zeros(16, np.int8)
h.call(library.edgeq_relu_s8, h.ReluParams(17, -128, 127), x, x)
"""


@pytest.mark.full
def test_asan_sees_an_overrun(tmp_path: Path) -> None:
    """The negative case: one element too many."""
    root = str(Path(__file__).parents[2])
    run = run_under_asan(tmp_path, ["-c", OVERRUN], 200, PYTHONPATH=root)
    assert run.returncode != 0
    assert "heap-buffer-overflow" in said(tmp_path)

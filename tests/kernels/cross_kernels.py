"""The command lines that compile kernels for Cortex-M4."""

import importlib.util
import shutil
import sys

import pytest

from tests.kernels.host_kernels import FOLDER, WARNINGS

FLAGS = ("-std=c99", "-ffreestanding", "-O2", "-g0", *WARNINGS)
SOURCES = sorted(FOLDER.glob("*.c"))


def command(kind: str) -> list[str]:
    """The compiler for Cortex-M4, or a skip that says what is missing."""
    if kind == "gcc":
        path = shutil.which("arm-none-eabi-gcc")
        if path is None:
            pytest.skip("no arm-none-eabi-gcc on PATH (Debian: gcc-arm-none-eabi)")
        return [path, "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("the ziglang wheel is not installed")
    target = ["-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4"]
    quiet = ["-fno-sanitize=undefined", "-fno-unwind-tables"]
    return [sys.executable, "-m", "ziglang", "cc", *target, *quiet]

"""Which cross compilers a test is run with: the first here by default, the other in full."""

import shutil

import pytest

_FIRST = "gcc" if shutil.which("arm-none-eabi-gcc") else "zig"
COMPILERS = [
    _FIRST,
    pytest.param("zig" if _FIRST == "gcc" else "gcc", marks=pytest.mark.full),
]

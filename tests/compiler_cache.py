"""A cache of compiled objects in front of the computer's compilers, where ccache is installed.

Most exports of the tests compile the same kernels and runtime; an object goes by the compiler,
its flags and the preprocessed source (https://ccache.dev/manual/latest.html).
"""

import os
import shutil
from pathlib import Path

COMPILERS = ("cc", "gcc", "g++", "clang-14", "arm-none-eabi-gcc", "riscv64-unknown-elf-gcc")
OFF = ("CCACHE_DISABLE", "1")  # for a test of the compiler itself
SETTINGS = {
    "CCACHE_MAXSIZE": "2G",
    "CCACHE_NOHASHDIR": "1",  # objects hold no folder: test_two_folders_give_the_same_elf
    # projects are written just before they are compiled, by the test that compiles them
    "CCACHE_SLOPPINESS": "include_file_mtime,include_file_ctime",
}


# ccache makes a folder in the runtime folder, whatever it is told: tests look at what is there
FRONT = """#!/bin/sh
unset XDG_RUNTIME_DIR
exec '{ccache}' '{compiler}' "$@"
"""


def put_before_compilers(fronts: Path, cache: Path) -> None:
    """Sets PATH and ccache's settings of this process; without ccache, nothing."""
    ccache = shutil.which("ccache")
    if ccache is None or os.environ.get("CCACHE_DIR") == str(cache):  # a worker: they stand there
        return
    fronts.mkdir(parents=True, exist_ok=True)
    for name in COMPILERS:
        compiler = shutil.which(name)
        if compiler is not None:
            (fronts / name).write_text(FRONT.format(ccache=ccache, compiler=compiler))
            (fronts / name).chmod(0o700)
    os.environ["PATH"] = f"{fronts}{os.pathsep}{os.environ['PATH']}"
    os.environ.update(SETTINGS, CCACHE_DIR=str(cache))

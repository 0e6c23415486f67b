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


def put_before_compilers(links: Path, cache: Path) -> None:
    """Sets PATH and ccache's settings of this process; without ccache, nothing."""
    program = shutil.which("ccache")
    if program is None:
        return
    links.mkdir(parents=True, exist_ok=True)
    for name in COMPILERS:
        if shutil.which(name):
            (links / name).symlink_to(program)
    os.environ["PATH"] = f"{links}{os.pathsep}{os.environ['PATH']}"
    os.environ.update(SETTINGS, CCACHE_DIR=str(cache))

"""Compiles the device runtime for this computer, with sanitizers where gcc has them."""

import shutil
import subprocess
import sys
from pathlib import Path

from edgeq.resources import templates_dir
from tests.hang import HANG_S

DEVICE = Path(__file__).parent / "device"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


def host_compiler() -> list[str]:
    """gcc with sanitizers, else the ziglang wheel (which cannot link ASan)."""
    if shutil.which("gcc"):
        return ["gcc", "-g", "-O1", *SANITIZERS]
    return [sys.executable, "-m", "ziglang", "cc", "-g", "-O1"]


def runtime_sources() -> list[Path]:
    """The runtime; memory.c stays out, it would replace the host's own memcpy."""
    return [p for p in sorted((templates_dir() / "runtime").glob("*.c")) if p.stem != "memory"]


def compile_device(out: Path, sources: list[Path], *flags: str) -> Path:
    command = [*host_compiler(), *WARNINGS, f"-I{templates_dir()}", f"-I{DEVICE}", *flags]
    command += [str(path) for path in (*runtime_sources(), *sources)] + ["-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 0, done.stderr
    return out

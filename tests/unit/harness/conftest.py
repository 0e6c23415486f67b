"""The device runtime compiled for the host, running on a real pty."""

import os
import shutil
import subprocess
import sys
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeq.resources import templates_dir

DEVICE = Path(__file__).parent / "device"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")


def host_compiler() -> list[str]:
    """gcc with sanitizers, else the ziglang wheel (which cannot link ASan)."""
    if shutil.which("gcc"):
        return ["gcc", "-g", "-O1", *SANITIZERS]
    return [sys.executable, "-m", "ziglang", "cc", "-g", "-O1"]


def compile_device(out: Path, sources: list[Path], *flags: str) -> Path:
    runtime = [p for p in sorted((templates_dir() / "runtime").glob("*.c")) if p.stem != "memory"]
    command = [*host_compiler(), *WARNINGS, f"-I{templates_dir()}", f"-I{DEVICE}", *flags]
    command += [str(path) for path in (*runtime, *sources)] + ["-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds (once per set of flags) the firmware with its stub model as a host program."""
    folder = tmp_path_factory.mktemp("device")
    built: dict[tuple[str, ...], Path] = {}

    def build(*flags: str) -> Path:
        if flags not in built:
            sources = [
                templates_dir() / "app" / "main.c",
                DEVICE / "host_hal.c",
                DEVICE / "model" / "model.c",
            ]
            built[flags] = compile_device(folder / f"device{len(built)}", sources, *flags)
        return built[flags]

    return build


class Board:
    """A firmware process whose serial line is the master end of a pty."""

    def __init__(self, program: Path) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.process = subprocess.Popen(
            [str(program)], stdin=slave, stdout=slave, stderr=subprocess.PIPE
        )
        os.close(slave)

    def stop(self) -> str:
        """Ends the process; returns what the sanitizers said."""
        if self.process.poll() is None:
            self.process.kill()
        _, err = self.process.communicate(timeout=10)
        os.close(self.master)
        return err.decode()


@pytest.fixture
def board(firmware: Callable[..., Path]) -> Iterator[Callable[..., Board]]:
    """Starts firmware processes and checks that no sanitizer complained."""
    boards: list[Board] = []

    def start(*flags: str) -> Board:
        boards.append(Board(firmware(*flags)))
        return boards[-1]

    yield start
    complaints = [running.stop() for running in boards]
    assert not any(complaints), complaints

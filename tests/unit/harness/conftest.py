"""The device runtime as a process of this computer on a real pty."""

import os
import subprocess
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from device_build import DEVICE, compile_device

from edgeq.resources import templates_dir
from tests.hang import HANG_S


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
        _, err = self.process.communicate(timeout=HANG_S)
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

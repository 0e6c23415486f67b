"""Firmware files, surroundings and tools that the flashers are tested with."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgeq import flashers
from edgeq.board import load_board
from edgeq.errors import Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.toolchain import Firmware, build, find_compiler, with_board

ROOT = Path(__file__).parents[3]
ECHO_MAIN = ROOT / "tests" / "emulated" / "echo_main.c"


def firmware_at(folder: Path) -> Firmware:
    """A firmware whose files hold a few bytes: for tools that only carry them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "firmware.elf").write_bytes(b"\x7fELF")
    (folder / "firmware.bin").write_bytes(bytes(range(64)))
    return Firmware(
        folder / "firmware.elf", folder / "firmware.bin", {}, 64, 8, 8, "0" * 64, "gcc", ()
    )


@pytest.fixture
def firmware(tmp_path: Path) -> Firmware:
    return firmware_at(tmp_path / "built")


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of the test's own; whatever still runs is stopped at its end."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    if (folder / "edgeq").is_dir() and not (folder / "edgeq").is_symlink():
        (folder / "edgeq").chmod(0o700)
        flashers.stop(everything=True)


@pytest.fixture
def no_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as PATH and home: no tool is installed but those a test puts there."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def fake_tool(no_tools: Path) -> Callable[[str, str], Path]:
    """fake_tool(name, script): an executable of that name that records its arguments, one a line,
    and then runs the shell script; returns the file of the record."""

    def make(name: str, script: str = "exit 0") -> Path:
        record, program = no_tools / f"{name}.argv", no_tools / name
        line = f'printf "%s\\n" "$@" >> "{record}"'
        program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{line}\n{script}\n")
        program.chmod(0o755)
        return record

    return make


def usb(port: str, usb_id: str = "0483:374b", serial_number: str | None = "066F") -> Any:
    """What comports() gives for a USB device; `usb_id` "" for a port that is none."""
    vid, pid = (int(part, 16) for part in usb_id.split(":")) if usb_id else (None, None)
    return SimpleNamespace(device=port, vid=vid, pid=pid, serial_number=serial_number)


def drive(root: Path, label: str, details: str = "DETAILS.TXT") -> Path:
    """A folder that stands for a mounted probe drive."""
    folder = root / label
    folder.mkdir(parents=True)
    (folder / details).write_text("Version: 0221")
    return folder


def surroundings(*ports: Any, roots: tuple[Path, ...] = ()) -> flashers.Surroundings:
    """What is plugged in, read through the real look()."""
    drives = [folder for root in roots for folder in root.iterdir()]
    return flashers.look(lambda: list(ports), lambda: drives)


@pytest.fixture(scope="session")
def echo_elf(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Firmware]:
    """echo_elf(board): real firmware for the board that greets with "ready" and echoes."""
    built: dict[str, Firmware] = {}

    def make(name: str) -> Firmware:
        if name not in built:
            board = load_board(name)
            project = with_board(FirmwareProject({"main.c": ECHO_MAIN.read_bytes()}), board)
            try:
                compiler = find_compiler("auto")
            except Toolchain as error:
                pytest.skip(str(error))
            built[name] = build(project, board, compiler, tmp_path_factory.mktemp(name))
        return built[name]

    return make

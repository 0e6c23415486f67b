"""QEMU: an emulated board as a background process with its serial port on a pty."""

import re
import shutil
from typing import Any

from edgeq.board import Board
from edgeq.cores import CORES
from edgeq.errors import BadInput, Toolchain
from edgeq.flashers.attached import Surroundings
from edgeq.flashers.flasher import Commands, Facts, Flasher
from edgeq.flashers.processes import start
from edgeq.toolchain import Firmware

PROGRAM = "qemu-system-arm"
# by instruction set: the program, its Debian package, and what it needs beyond the machine
PROGRAMS = {
    "arm": (PROGRAM, "qemu-system-arm", ()),
    "riscv": ("qemu-system-riscv32", "qemu-system-misc", ("-bios", "none")),
}


def find(board: Board, _around: Surroundings) -> Facts:
    """QEMU on PATH; Toolchain if it is not there."""
    program, package, _ = PROGRAMS[CORES[board.core].isa]
    if shutil.which(program) is None:
        raise Toolchain(f"{program} is not installed: apt install {package}, or brew install qemu")
    return assumed(board)


def assumed(board: Board) -> Facts:
    """QEMU by its name."""
    return Facts((PROGRAMS[CORES[board.core].isa][0],))


def commands(firmware: Firmware, board: Board, facts: Facts) -> Commands:
    """Runs the ELF until it is stopped. BadInput for a board that QEMU does not model."""
    machine = board.probe.qemu_machine
    if machine is None:
        raise BadInput(f"board {board.name} names no qemu_machine; choose another --with")
    more = PROGRAMS[CORES[board.core].isa][2]
    options = (
        "-M",
        machine,
        *more,
        "-kernel",
        str(firmware.elf),
        "-display",
        "none",
        "-monitor",
        "none",
    )
    return ((*facts.program, *options, "-serial", "pty"),)


def port_in(text: str) -> str | None:
    """The pty that QEMU names, None while it has not."""
    found = re.search(r"redirected to (/dev/\S+)\s", text)
    return found[1] if found else None


def hint(_board: Board) -> str:
    """Firmware polls its UART, and QEMU sleeps only when the processor does."""
    return "QEMU keeps a processor core busy while it runs; `edgeq stop` ends it"


def run(firmware: Firmware, board: Board, _facts: Facts, commands: Commands) -> dict[str, Any]:
    """Starts the board; gives its port and pid."""
    started = start(commands[0], board.name, firmware.elf, port_in, "qemu", terminal=True)
    return {"port": started.port, "pid": started.pid}


FLASHER = Flasher(find, assumed, commands, run, hint)

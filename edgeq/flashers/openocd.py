"""OpenOCD: writes the ELF through nearly every debug probe."""

import shutil
from typing import Any

from edgeq.board import Board
from edgeq.errors import BadInput, Toolchain
from edgeq.flashers.attached import Surroundings, the_probe
from edgeq.flashers.flasher import Commands, Facts, Flasher, run_commands
from edgeq.toolchain import Firmware

PROGRAM = "openocd"
_TCL_CANNOT_QUOTE = frozenset("{}\\\n")


def find(board: Board, around: Surroundings) -> Facts:
    """OpenOCD on PATH; Toolchain if it is not there, Link if the probe is not the only one."""
    if shutil.which(PROGRAM) is None:
        raise Toolchain("openocd is not installed: apt install openocd, or brew install open-ocd")
    the_probe(board, around)  # OpenOCD would take the first of several
    return assumed(board)


def assumed(_board: Board) -> Facts:
    """OpenOCD by its name."""
    return Facts((PROGRAM,))


def commands(firmware: Firmware, board: Board, facts: Facts) -> Commands:
    """Write, verify, reset. BadInput when the board names no config or Tcl cannot hold the path."""
    if board.probe.openocd_config is None:
        raise BadInput(f"board {board.name} names no openocd_config; choose another --with")
    path = str(firmware.elf)
    if _TCL_CANNOT_QUOTE & set(path):
        raise BadInput(f"OpenOCD cannot take the path {path!r}: export to one without {{ }} or \\")
    script = f"program {{{path}}} verify reset exit"
    files = [word for file in board.probe.openocd_config.split() for word in ("-f", file)]
    return ((*facts.program, *files, "-c", script),)


def run(_firmware: Firmware, _board: Board, facts: Facts, commands: Commands) -> dict[str, Any]:
    """Runs OpenOCD."""
    run_commands(commands, watch=facts.watch)
    return {}


FLASHER = Flasher(find, assumed, commands, run)

"""OpenOCD: writes the ELF through nearly every debug probe."""

import dataclasses
import shutil
from typing import Any

from edgeq.board import Board
from edgeq.errors import BadInput, Toolchain
from edgeq.flashers.attached import Surroundings, devices_of, the_probe
from edgeq.flashers.flasher import Commands, Facts, Flasher, run_commands
from edgeq.toolchain import Firmware

PROGRAM = "openocd"
_TCL_CANNOT_QUOTE = frozenset("{}\\\n")
# "adapter serial" came with OpenOCD 0.12, of which 0.11 had one for ST-LINK alone
_CHOOSE = "if {{[catch {{adapter serial {{{0}}}}}]}} {{hla_serial {{{0}}}}}"


def find(board: Board, around: Surroundings) -> Facts:
    """OpenOCD on PATH; Toolchain if it is not there, Link if the probe is not the only one."""
    if shutil.which(PROGRAM) is None:
        raise Toolchain("openocd is not installed: apt install openocd, or brew install open-ocd")
    number = the_probe(board, around)  # OpenOCD would take the first of several
    several = around.probe is not None or len(devices_of(board, around)) > 1
    return dataclasses.replace(assumed(board), serial_number=number if several else None)


def assumed(_board: Board) -> Facts:
    """OpenOCD by its name."""
    return Facts((PROGRAM,))


def commands(firmware: Firmware, board: Board, facts: Facts) -> Commands:
    """Write, verify, reset, through the probe that was named.

    BadInput when the board names no config or Tcl cannot hold the path.
    """
    if board.probe.openocd_config is None:
        raise BadInput(f"board {board.name} names no openocd_config; choose another --with")
    path = str(firmware.elf)
    if _TCL_CANNOT_QUOTE & set(path):
        raise BadInput(f"OpenOCD cannot take the path {path!r}: export to one without {{ }} or \\")
    number = facts.serial_number
    if number is not None and _TCL_CANNOT_QUOTE & set(number):
        raise BadInput(f"OpenOCD cannot take the serial number {number!r}")
    chosen = () if number is None else ("-c", _CHOOSE.format(number))
    script = f"program {{{path}}} verify reset exit"
    files = [word for file in board.probe.openocd_config.split() for word in ("-f", file)]
    return ((*facts.program, *files, *chosen, "-c", script),)


def run(_firmware: Firmware, _board: Board, facts: Facts, commands: Commands) -> dict[str, Any]:
    """Runs OpenOCD."""
    run_commands(commands, watch=facts.watch)
    return {}


FLASHER = Flasher(find, assumed, commands, run)

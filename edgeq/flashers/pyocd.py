"""pyOCD: writes the ELF through CMSIS-DAP, ST-LINK and J-Link; many parts need a CMSIS pack.

Its Python API is used, in a process of its own; a `pyocd` that is only on PATH, as pipx leaves it,
is called.
"""

import dataclasses
import importlib.util
import shutil
import sys
from typing import Any

from edgeq.board import Board
from edgeq.errors import BadInput, Flash, Toolchain
from edgeq.extras import install
from edgeq.flashers.attached import Surroundings, the_probe
from edgeq.flashers.flasher import Commands, Facts, Flasher, run_commands
from edgeq.flashers.pyocd_session import UNKNOWN_PART
from edgeq.toolchain import Firmware

PROGRAM = "pyocd"


def importable() -> bool:
    """True if pyOCD is installed beside this Python."""
    return importlib.util.find_spec("pyocd") is not None


def find(board: Board, around: Surroundings) -> Facts:
    """pyOCD beside this Python or on PATH; Toolchain if it is neither."""
    if not importable() and shutil.which(PROGRAM) is None:
        raise Toolchain(f"pyocd is not installed: {install('pyocd')}")
    return dataclasses.replace(assumed(board), serial_number=the_probe(board, around))


def assumed(_board: Board) -> Facts:
    """The session where the package is, else the program by its name."""
    if importable():
        return Facts((sys.executable, "-m", "edgeq.flashers.pyocd_session"))
    return Facts((PROGRAM, "load", "--no-wait"))  # it would wait for a probe to be plugged in


def commands(firmware: Firmware, board: Board, facts: Facts) -> Commands:
    """Write and reset. BadInput without a target."""
    if board.probe.pyocd_target is None:
        raise BadInput(f"board {board.name} names no pyocd_target; choose another --with")
    options = ["--target", board.probe.pyocd_target]
    if facts.serial_number:
        options += ["--uid", facts.serial_number]
    return ((*facts.program, *options, str(firmware.elf)),)


def pack_hint(board: Board) -> str | None:
    """The command that fetches the part's pack, when this pyOCD lacks the part; else None."""
    target = board.probe.pyocd_target
    if board.probe.pyocd_pack is None or target is None or (importable() and _knows(target)):
        return None
    return (
        f"pyOCD has no {target} built in; fetch its pack {board.probe.pyocd_pack} once: "
        f"pyocd pack install {target}"
    )


def _knows(target: str) -> bool:
    from edgeq.flashers.pyocd_session import knows

    return knows(target)


def run(_firmware: Firmware, board: Board, facts: Facts, commands: Commands) -> dict[str, Any]:
    """Runs pyOCD; its error about an unknown part gets the command that helps."""
    try:
        run_commands(commands, watch=facts.watch)
    except Flash as error:
        hint = pack_hint(board) if UNKNOWN_PART in str(error) else None
        raise Flash(f"{error}\n{hint}") if hint else error from None
    return {"hint": None}  # it had the part after all


FLASHER = Flasher(find, assumed, commands, run, pack_hint)

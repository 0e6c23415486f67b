"""pyOCD: writes the ELF through CMSIS-DAP, ST-LINK and J-Link; many parts need a CMSIS pack."""

import importlib.util
import shutil
import sys
from typing import Any

from edgeq.board import Board
from edgeq.errors import BadInput, Flash, Toolchain
from edgeq.flashers.attached import Surroundings, the_probe
from edgeq.flashers.flasher import Commands, Facts, Flasher, run_commands
from edgeq.toolchain import Firmware

PROGRAM = "pyocd"


def find(board: Board, around: Surroundings) -> Facts:
    """pyOCD on PATH or beside this Python; Toolchain if it is neither."""
    if shutil.which(PROGRAM) is not None:
        program: tuple[str, ...] = (PROGRAM,)
    elif importlib.util.find_spec("pyocd") is not None:
        program = (sys.executable, "-m", "pyocd")
    else:
        raise Toolchain("pyocd is not installed: pip install 'edgeq[pyocd]'")
    probe = the_probe(board, around)
    return Facts(program, serial_number=probe.serial_number if probe else None)


def assumed(_board: Board) -> Facts:
    """pyOCD by its name."""
    return Facts((PROGRAM,))


def commands(firmware: Firmware, board: Board, facts: Facts) -> Commands:
    """Write and reset; --no-wait ends at once when there is no probe. BadInput without a target."""
    if board.probe.pyocd_target is None:
        raise BadInput(f"board {board.name} names no pyocd_target; choose another --tool")
    options = ["--no-wait", "--target", board.probe.pyocd_target]
    if facts.serial_number:
        options += ["--uid", facts.serial_number]
    return ((*facts.program, "load", *options, str(firmware.elf)),)


def pack_hint(board: Board) -> str | None:
    """The command that fetches the part's pack, when this pyOCD lacks the part; else None."""
    target = board.probe.pyocd_target
    if board.probe.pyocd_pack is None or target is None or _is_builtin(target):
        return None
    return (
        f"pyOCD has no built-in {target}; fetch its pack {board.probe.pyocd_pack} once: "
        f"pyocd pack install {target}"
    )


def _is_builtin(target: str) -> bool:
    try:
        from pyocd.target.builtin import BUILTIN_TARGETS
    except ImportError:
        return False
    return target in BUILTIN_TARGETS


def run(_firmware: Firmware, board: Board, _facts: Facts, commands: Commands) -> dict[str, Any]:
    """Runs pyOCD; its error about an unknown part gets the command that helps."""
    try:
        run_commands(commands)
    except Flash as error:
        hint = pack_hint(board) if "not recognized" in str(error) else None
        raise Flash(f"{error}\n{hint}") if hint else error from None
    return {"hint": None}  # it had the part after all


FLASHER = Flasher(find, assumed, commands, run, pack_hint)

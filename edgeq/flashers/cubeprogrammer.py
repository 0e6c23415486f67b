"""STM32CubeProgrammer's command line: ST's own tool, taken when it is installed."""

import shutil
import sys
from pathlib import Path
from typing import Any

from edgeq.board import Board
from edgeq.errors import Toolchain
from edgeq.flashers.attached import Surroundings, the_probe
from edgeq.flashers.flasher import Commands, Facts, Flasher, run_commands
from edgeq.toolchain import Firmware

PROGRAM = "STM32_Programmer_CLI"
# where ST's installer puts it, which is not on PATH
_LINUX = "STMicroelectronics/STM32Cube/STM32CubeProgrammer/bin"
_MAC = "/Applications/STMicroelectronics/STM32Cube/STM32CubeProgrammer/STM32CubeProgrammer.app/Contents/MacOs/bin"  # noqa: E501


def installed() -> str | None:
    """The program, on PATH or where ST's installer leaves it; None if it is at neither place."""
    if shutil.which(PROGRAM):
        return PROGRAM
    try:
        folder = Path(_MAC) if sys.platform == "darwin" else Path.home() / _LINUX
    except RuntimeError:  # a user without a home
        return None
    return shutil.which(PROGRAM, path=str(folder))


def find(board: Board, around: Surroundings) -> Facts:
    """The program on PATH or where ST's installer leaves it; Toolchain if it is not there."""
    program = installed()
    if program is None:
        raise Toolchain(f"{PROGRAM} is not installed: get STM32CubeProgrammer from st.com")
    return Facts((program,), serial_number=the_probe(board, around))


def assumed(_board: Board) -> Facts:
    """The program by its name."""
    return Facts((PROGRAM,))


def commands(firmware: Firmware, _board: Board, facts: Facts) -> Commands:
    """Connect by SWD (to the probe of that serial number), write, verify, reset."""
    number = (f"sn={facts.serial_number}",) if facts.serial_number else ()
    return ((*facts.program, "-c", "port=SWD", *number, "-w", str(firmware.elf), "-v", "-rst"),)


def run(_firmware: Firmware, _board: Board, facts: Facts, commands: Commands) -> dict[str, Any]:
    """Runs the programmer."""
    run_commands(commands, watch=facts.watch)
    return {}


FLASHER = Flasher(find, assumed, commands, run)

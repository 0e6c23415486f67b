"""The virtual board: the simulator as a background process with its serial port on a pty."""

import json
import sys
from typing import Any

from edgeq.board import Board
from edgeq.flashers.attached import Surroundings
from edgeq.flashers.flasher import Commands, Facts, Flasher
from edgeq.flashers.processes import start
from edgeq.toolchain import Firmware


def find(board: Board, _around: Surroundings) -> Facts:
    """The simulator is part of edgeq."""
    return assumed(board)


def assumed(_board: Board) -> Facts:
    """This Python."""
    return Facts((sys.executable, "-m", "edgeq.sim"))


def commands(firmware: Firmware, board: Board, facts: Facts) -> Commands:
    """Runs the ELF until it is stopped."""
    return ((*facts.program, str(firmware.elf), "--board", board.name, "--pty", "--json"),)


def port_in(text: str) -> str | None:
    """The port in the simulator's first line, None while that is not complete."""
    line, end, _rest = text.partition("\n")
    return str(json.loads(line)["port"]) if end else None


def run(firmware: Firmware, board: Board, _facts: Facts, commands: Commands) -> dict[str, Any]:
    """Starts the board; gives its port and pid."""
    started = start(commands[0], board.name, firmware.elf, port_in)
    return {"port": started.port, "pid": started.pid}


FLASHER = Flasher(find, assumed, commands, run)

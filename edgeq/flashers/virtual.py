"""The virtual board: the simulator as a background process with its serial port on a pty.

It is also every real board's twin: the ELF that would be flashed runs as it is.
"""

import json
import sys
from typing import Any

from edgeq.board import Board
from edgeq.errors import BadInput
from edgeq.flashers.attached import Surroundings
from edgeq.flashers.flasher import Commands, Facts, Flasher
from edgeq.flashers.processes import start
from edgeq.toolchain import Firmware

TOOL = "virtual"


def find(board: Board, _around: Surroundings) -> Facts:
    """The simulator is part of edgeq."""
    return assumed(board)


def assumed(board: Board) -> Facts:
    """This Python. BadInput for a board whose peripherals have no model."""
    from edgeq.sim.families import FAMILIES  # the emulator is loaded only when it is wanted

    if board.port.family not in FAMILIES:
        raise BadInput(
            f"no virtual twin of {board.name}: the peripherals of its port {board.port.family!r} "
            f"have no model; there are: {', '.join(sorted(FAMILIES))}"
        )
    return Facts((sys.executable, "-m", "edgeq.sim"))


def commands(firmware: Firmware, board: Board, facts: Facts) -> Commands:
    """Runs the ELF until it is stopped."""
    edges = () if facts.marker_file is None else ("--marker", str(facts.marker_file))
    sound = () if facts.sound is None else ("--sound", str(facts.sound))
    wire = ("--pty",) if facts.serve is None else ("--tcp", facts.serve)
    asked = (*wire, "--json", *edges, *sound)
    return ((*facts.program, str(firmware.elf), "--board", board.name, *asked),)


def port_in(text: str) -> str | None:
    """The port in the simulator's first line, None while that is not complete."""
    line, end, _rest = text.partition("\n")
    return str(json.loads(line)["port"]) if end else None


def hint(board: Board) -> str | None:
    """What a twin is, for a board that could be held in a hand."""
    if TOOL in board.probe.flashers:
        return None
    return f"the virtual twin of {board.name} runs the ELF that would be flashed; latency modelled"


def run(firmware: Firmware, board: Board, _facts: Facts, commands: Commands) -> dict[str, Any]:
    """Starts the board; gives its port and pid."""
    started = start(commands[0], board.name, firmware.elf, port_in, TOOL)
    return {"port": started.port, "pid": started.pid}


FLASHER = Flasher(find, assumed, commands, run, hint)

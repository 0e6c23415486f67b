"""esptool: writes the image through the serial boot loader that ESP32 parts carry in ROM.

It is started as a program: its licence, GPL, is not edgeq's. The one of the extra, else the
`esptool` on PATH, as pipx leaves it.
"""

import dataclasses
import shutil
import sys
from typing import Any

from edgeq.board import Board
from edgeq.errors import BadInput, Link, Toolchain
from edgeq.extras import install, installed
from edgeq.flashers.attached import Surroundings
from edgeq.flashers.flasher import Commands, Facts, Flasher, run_commands
from edgeq.toolchain import Firmware

PROGRAM = "esptool"
# USB bridges of such boards (CP210x, CH340, CH343) and the port that newer chips have themselves;
# none of them tells what hangs behind it, so that no board is named by its bridge
BRIDGES = ("10c4:ea60", "1a86:7523", "1a86:55d3", "303a:1001")
_DRY_PORT = "PORT"


def find(board: Board, around: Surroundings) -> Facts:
    """esptool and the board's port; Toolchain without the one, Link without the other."""
    if not installed(PROGRAM) and shutil.which(PROGRAM) is None:
        raise Toolchain(f"esptool is not installed: {install('esptool')}")
    seen = [device for device in around.devices if device.usb_id in BRIDGES]
    if not seen:
        raise Link(
            f"no port that {board.name} could be behind ({', '.join(BRIDGES)}) is seen: plug it "
            f"in; esptool {hint(board)}"
        )
    if len(seen) > 1:
        listed = ", ".join(f"{d.serial_number or 'no number'} ({d.port})" for d in seen)
        raise Link(f"{len(seen)} such ports are there; name one with --probe: {listed}")
    (device,) = seen
    return dataclasses.replace(assumed(board), port=device.port, serial_number=device.serial_number)


def assumed(board: Board) -> Facts:
    """esptool at a port that is yet to be seen; BadInput for a board of another maker."""
    if board.probe.esptool_chip is None:
        raise BadInput(f"board {board.name} names no esptool_chip; choose another --with")
    here = (sys.executable, "-m", PROGRAM) if installed(PROGRAM) else (PROGRAM,)
    return Facts(here, port=_DRY_PORT)


def commands(firmware: Firmware, board: Board, facts: Facts) -> Commands:
    """Write to the start of the flash; esptool compares what it wrote, then resets the chip."""
    assert facts.port is not None
    assert board.probe.esptool_chip is not None
    chip = ("--chip", board.probe.esptool_chip, "--port", facts.port)
    return ((*facts.program, *chip, "write-flash", "0x0", str(firmware.bin)),)


def run(_firmware: Firmware, _board: Board, facts: Facts, commands: Commands) -> dict[str, Any]:
    """Runs esptool; the firmware then talks at the same port."""
    run_commands(commands, watch=facts.watch)
    return {"hint": None, "port": facts.port}


def hint(_board: Board) -> str:
    """How the boot loader is entered where the bridge's lines do not do it."""
    return "enters the boot loader by itself; else hold BOOT while pressing RESET"


FLASHER = Flasher(find, assumed, commands, run, hint)

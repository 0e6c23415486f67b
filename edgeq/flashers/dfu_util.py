"""dfu-util: writes the image through the boot loader that STM32 parts carry in ROM (DfuSe, USB).

The part is in it when it was reset with BOOT0 high (ST AN2606).
"""

import dataclasses
import shutil
from typing import Any

from edgeq.board import Board
from edgeq.errors import Flash, Link, Toolchain
from edgeq.flashers.attached import Surroundings
from edgeq.flashers.flasher import Commands, Facts, Flasher, run_commands
from edgeq.flashers.usb import usb_devices
from edgeq.toolchain import Firmware

PROGRAM = "dfu-util"
BOOT_LOADER = "0483:df11"
_WRITTEN = "File downloaded successfully"


def find(board: Board, around: Surroundings) -> Facts:
    """dfu-util on PATH; Toolchain if it is not there, Link if no boot loader is, or several are."""
    if shutil.which(PROGRAM) is None:
        raise Toolchain("dfu-util is not installed: apt install dfu-util, or brew install dfu-util")
    seen = usb_devices()
    if seen and all(device.usb_id != BOOT_LOADER for device in seen):  # where USB can be seen
        raise Link(f"no STM32 boot loader ({BOOT_LOADER}) is on USB: dfu-util {hint(board)}")
    numbers = [d.serial_number or "no number" for d in seen if d.usb_id == BOOT_LOADER]
    if len(numbers) > 1 and around.probe is None:
        raise Link(f"{len(numbers)} boot loaders are on USB; name one with --probe: "
                   f"{', '.join(numbers)}")  # fmt: skip
    return dataclasses.replace(assumed(board), serial_number=around.probe)


def assumed(_board: Board) -> Facts:
    """dfu-util by its name."""
    return Facts((PROGRAM,))


def commands(firmware: Firmware, board: Board, facts: Facts) -> Commands:
    """Write to the start of flash (interface 0), then leave the boot loader for it."""
    place = f"{board.flash.origin:#010x}:leave"
    chosen = ("-S", facts.serial_number) if facts.serial_number else ()
    options = ("-d", BOOT_LOADER, *chosen, "-a", "0", "-s", place, "-D", str(firmware.bin))
    return ((*facts.program, *options),)


def run(_firmware: Firmware, _board: Board, facts: Facts, commands: Commands) -> dict[str, Any]:
    """Runs dfu-util.

    A part that leaves at once answers the last question no more: dfu-util then fails although all
    was written, and says both.
    """
    try:
        run_commands(commands, watch=facts.watch)
    except Flash as error:
        if _WRITTEN not in str(error):
            raise
    return {"hint": None}


def hint(_board: Board) -> str:
    """How the boot loader is entered."""
    return "needs the boot loader: BOOT0 high (a jumper or button), reset, USB at the chip's port"


FLASHER = Flasher(find, assumed, commands, run, hint)

"""teensy_loader_cli: writes the HEX file through the Teensy's boot loader, HalfKay.

Its licence is the GPL: it is started as a program.
"""

import shutil

from edgeq.board import Board
from edgeq.errors import BadInput, Link, Toolchain
from edgeq.flashers.attached import Surroundings
from edgeq.flashers.flasher import Commands, Facts, Flasher, run_tool
from edgeq.flashers.usb import usb_devices
from edgeq.toolchain import Firmware

PROGRAM = "teensy_loader_cli"
BOOT_LOADER = "16c0:0478"


def find(board: Board, _around: Surroundings) -> Facts:
    """The tool on PATH; Toolchain if it is not there, Link where no boot loader is, or several are.

    The tool takes the first boot loader that it meets: it cannot be told which.
    """
    if shutil.which(PROGRAM) is None:
        raise Toolchain(
            f"{PROGRAM} is not installed: apt install teensy-loader-cli, or brew install "
            "teensy_loader_cli"
        )
    seen = usb_devices()
    loaders = [device for device in seen if device.usb_id == BOOT_LOADER]
    if seen and not loaders:  # where USB can be seen
        raise Link(f"no boot loader ({BOOT_LOADER}) of {board.name} is on USB: {hint(board)}")
    if len(loaders) > 1:
        raise Link(f"{len(loaders)} Teensy boot loaders are on USB; leave one plugged in")
    return assumed(board)


def assumed(board: Board) -> Facts:
    """The tool by its name; BadInput for a board of another maker."""
    if board.probe.teensy_mcu is None:
        raise BadInput(f"board {board.name} names no teensy_mcu; choose another --with")
    return Facts((PROGRAM,))


def commands(firmware: Firmware, board: Board, facts: Facts) -> Commands:
    """Write what is not blank, then start it."""
    file = str(firmware.bin.with_suffix(".hex"))
    return ((*facts.program, f"--mcu={board.probe.teensy_mcu}", "-v", file),)


def hint(_board: Board) -> str:
    """How the boot loader is entered."""
    return "press the button on the Teensy: its boot loader waits for a program then"


FLASHER = Flasher(find, assumed, commands, run_tool, hint)

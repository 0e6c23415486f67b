"""bossac: writes the image through the serial boot loader of Arduino's nRF52840 boards (SAM-BA).

The image begins behind the boot loader, whose own addresses begin there too: no offset is told.
"""

import dataclasses
import shutil

from edgeq.board import Board
from edgeq.errors import Link, Toolchain
from edgeq.flashers.attached import Surroundings
from edgeq.flashers.flasher import Commands, Facts, Flasher, run_tool
from edgeq.toolchain import Firmware

PROGRAM = "bossac"
BOOT_LOADER = "2341:005a"
_DRY_PORT = "PORT"


def find(board: Board, around: Surroundings) -> Facts:
    """bossac on PATH and the boot loader's port; Toolchain without the one, Link without the other.

    Arduino's core uploads by its own build of bossac, 1.9.1-arduino2; whether Debian's 1.9.1
    serves this boot loader was not tried.
    """
    if shutil.which(PROGRAM) is None:
        raise Toolchain(
            "bossac is not installed: apt install bossa-cli, or take the one that Arduino's "
            'package "mbed_nano" brings'
        )
    loaders = [device for device in around.devices if device.usb_id == BOOT_LOADER]
    if not loaders:
        raise Link(f"no boot loader ({BOOT_LOADER}) of {board.name} is seen: bossac {hint(board)}")
    if len(loaders) > 1:
        listed = ", ".join(f"{d.serial_number or 'no number'} ({d.port})" for d in loaders)
        raise Link(f"{len(loaders)} boot loaders are on USB; name one with --probe: {listed}")
    (loader,) = loaders
    facts = dataclasses.replace(assumed(board), port=loader.port)
    return dataclasses.replace(facts, serial_number=loader.serial_number)


def assumed(_board: Board) -> Facts:
    """bossac by its name, at a port that is yet to be seen."""
    return Facts((PROGRAM,), port=_DRY_PORT)


def commands(firmware: Firmware, _board: Board, facts: Facts) -> Commands:
    """Erase, write, start: the options of Arduino's core, which the boot loader is made for."""
    assert facts.port is not None
    where = f"--port={facts.port.removeprefix('/dev/')}"
    return ((*facts.program, where, "-U", "-i", "-e", "-w", str(firmware.bin), "-R"),)


def hint(_board: Board) -> str:
    """How the boot loader is entered."""
    return "needs the boot loader: press the board's button twice, its light then pulses"


FLASHER = Flasher(find, assumed, commands, run_tool, hint)

"""UF2: copies the file to the drive that the chip's own boot ROM shows; no tool or probe needed."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeq.board import Board
from edgeq.errors import BadInput, Flash
from edgeq.flashers.attached import Surroundings, is_probe_volume, only_volume
from edgeq.flashers.flasher import Commands, Facts, Flasher, run_commands
from edgeq.toolchain import Firmware

COPY_TIMEOUT_S = 60.0
SETTLE_S = 10.0  # with the last block in flash the ROM drops the drive and starts the firmware
_CALM_S = 0.1
BOOT_BUTTON = "hold BOOTSEL while plugging the board in"


def find(board: Board, around: Surroundings) -> Facts:
    """The boot drive; Link when none is mounted, or several are."""
    label = " or ".join(board.probe.volumes)
    absent = f"no drive {label} is mounted: {BOOT_BUTTON}, and mount the drive it shows"
    volume = only_volume(board, around, absent)
    return Facts(("cp",), volume=volume, serial_number=around.drive_serials.get(volume))


def assumed(board: Board) -> Facts:
    """The drive where a desktop would mount it. BadInput for a board without UF2."""
    if board.probe.uf2_family is None or not board.probe.volumes:
        raise BadInput(f"board {board.name} takes no UF2 file; choose another --with")
    return Facts(("cp",), volume=Path("/media") / board.probe.volumes[0])


def commands(firmware: Firmware, _board: Board, facts: Facts) -> Commands:
    """Copy. No sync: the drive is gone the moment it has everything."""
    assert facts.volume is not None
    source = firmware.bin.with_suffix(".uf2")
    return ((*facts.program, str(source), str(facts.volume / source.name)),)


def run(_firmware: Firmware, _board: Board, facts: Facts, commands: Commands) -> dict[str, Any]:
    """Copies; the drive's leaving is the ROM's verdict."""
    assert facts.volume is not None
    return copy_until_gone(facts.volume, commands, SETTLE_S)


def copy_until_gone(
    volume: Path, commands: Commands, settle_s: float, pause: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """`run` with its own deadline (s). Flash when the drive is still there: it took not all blocks.

    An error of the copy counts only while the drive is there: the ROM may leave before `cp` ends.
    """
    failure: Flash | None = None
    try:
        run_commands(commands, COPY_TIMEOUT_S)
    except Flash as error:
        failure = error
    deadline = time.monotonic() + settle_s
    while is_probe_volume(volume):
        if failure is not None:
            raise failure
        if time.monotonic() >= deadline:
            raise Flash(
                f"{volume} is still there after {settle_s:g} s: its chip did not take the file; is "
                "it the board that was named? Unplug it and try again, or take a debug probe"
            )
        pause(_CALM_S)
    return {"hint": None}


def hint(_board: Board) -> str:
    """How the drive appears."""
    return BOOT_BUTTON


FLASHER = Flasher(find, assumed, commands, run, hint)

"""Mass storage: copies the image to the drive that the board's own probe shows; no tool needed."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeq.board import Board
from edgeq.errors import BadInput, Flash
from edgeq.flashers.attached import Surroundings, is_probe_volume, only_volume
from edgeq.flashers.flasher import Commands, Facts, Flasher, run_commands
from edgeq.toolchain import Firmware

COPY_TIMEOUT_S = 120.0
SETTLE_S = 15.0  # the probe writes the flash, then takes its drive away and brings it back
_CALM_S = 0.1
_CALM_LOOKS = 3  # FAIL.TXT is there before its text is: so many equal looks make it whole


def find(board: Board, around: Surroundings) -> Facts:
    """The board's drive; Link when none is mounted, or several are."""
    labels = " or ".join(board.probe.volumes)
    absent = f"no drive of {board.name} is mounted: mount the one labelled {labels}"
    volume = only_volume(board, around, absent)
    return Facts(("cp",), volume=volume, serial_number=around.drive_serials.get(volume))


def assumed(board: Board) -> Facts:
    """The drive where a desktop would mount it. BadInput for a board without one."""
    if not board.probe.volumes:
        raise BadInput(f"board {board.name} has no drive to copy to; choose another --with")
    return Facts(("cp",), volume=Path("/media") / board.probe.volumes[0])


def commands(firmware: Firmware, _board: Board, facts: Facts) -> Commands:
    """Copy, then sync: the probe starts when the last block is on the wire."""
    assert facts.volume is not None
    target = str(facts.volume / firmware.bin.name)
    return ((*facts.program, str(firmware.bin), target), ("sync", target))


def run(firmware: Firmware, _board: Board, facts: Facts, commands: Commands) -> dict[str, Any]:
    """Copies, waits for the probe and reads its verdict; Flash with the text of FAIL.TXT."""
    assert facts.volume is not None
    return copy_and_wait(facts.volume, firmware.bin.name, commands, SETTLE_S)


def copy_and_wait(
    volume: Path,
    name: str,
    commands: Commands,
    settle_s: float,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """`run` with its own deadline (s); `pause` is what it does between two looks at the drive.

    The drive is back when it shows no copy any more. If that is not seen in time, the verdict is
    what the drive says then, and a hint says that it was not seen to restart. A FAIL.TXT that is
    empty or still changes is read again: only at the deadline is it believed as it is.
    """
    before = _failure(volume)
    try:
        run_commands(commands[:1], COPY_TIMEOUT_S)
        _sync(volume, commands)
    except Flash as error:
        raise Flash(f"{error}{_said(_failure(volume))}") from None
    deadline = time.monotonic() + settle_s
    looks: list[str | None] = []
    while time.monotonic() < deadline:
        restarted = is_probe_volume(volume) and not (volume / name).exists()
        failure = _failure(volume)  # read after: the verdict is there before the drive is back
        looks = [*looks, failure][-_CALM_LOOKS:]
        if failure and looks == [failure] * _CALM_LOOKS and (restarted or failure != before):
            raise _refused(volume, failure)
        if restarted and failure is None:
            return {}
        pause(_CALM_S)
    failure = _failure(volume)
    if failure is not None:
        raise _refused(volume, failure)
    return {
        "hint": f"{volume} did not come back within {settle_s:g} s, so the probe gave no verdict; "
        "if the board does not answer, unplug it and plug it in again"
    }


def _sync(volume: Path, commands: Commands) -> None:
    """A drive that is already gone took all it wanted: no failure."""
    try:
        run_commands(commands[1:], COPY_TIMEOUT_S)
    except Flash:
        if is_probe_volume(volume) and Path(commands[0][-1]).exists():
            raise


def _failure(volume: Path) -> str | None:
    """The text of FAIL.TXT, None without one."""
    try:
        for entry in volume.iterdir():
            if entry.name.lower() == "fail.txt":
                return entry.read_text(errors="replace").strip()[:2000]
    except OSError:  # the drive is going away or coming back
        pass
    return None


def _refused(volume: Path, failure: str) -> Flash:
    return Flash(
        f"{volume} refused the image{_said(failure)}; check the board's jumpers and power, unplug "
        "it and plug it in again, or try --with openocd"
    )


def _said(failure: str | None) -> str:
    if failure is None:
        return ""
    return f"; FAIL.TXT says: {failure}" if failure else "; its FAIL.TXT is empty"


FLASHER = Flasher(find, assumed, commands, run)

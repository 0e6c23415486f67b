"""The copy to a probe's drive: a folder stands for the drive, a thread for the probe."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq import flashers
from edgeq.board import load_board
from edgeq.errors import BadInput, Flash, Link
from edgeq.flashers.flasher import Facts
from edgeq.flashers.mass_storage import assumed, commands, copy_and_wait, find
from edgeq.toolchain import Firmware
from tests.hang import HANG_S
from tests.unit.flashers.conftest import drive, surroundings, usb

F446 = load_board("nucleo_f446re")
WAIT_S = HANG_S


def probe(volume: Path, then: Callable[[bytes], None]) -> threading.Thread:
    """Waits for a whole copy, takes it away and does `then` with its bytes."""

    def work() -> None:
        image, deadline = volume / "firmware.bin", time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            if image.exists() and image.stat().st_size == 64:
                time.sleep(0.3)  # sync must find it
                data = image.read_bytes()
                then(data)
                image.unlink()
                return
            time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def copied(volume: Path, firmware: Firmware, settle_s: float = WAIT_S) -> dict[str, str]:
    made = commands(firmware, F446, Facts(("cp",), volume=volume))
    return copy_and_wait(volume, "firmware.bin", made, settle_s)


def test_the_image_arrives_and_the_probe_comes_back(tmp_path: Path, firmware: Firmware) -> None:
    volume, seen = drive(tmp_path, "NODE_F446RE"), list[bytes]()
    thread = probe(volume, seen.append)
    assert copied(volume, firmware) == {}
    thread.join()
    assert seen == [firmware.bin.read_bytes()]


def test_the_text_of_fail_txt_reaches_the_error(tmp_path: Path, firmware: Firmware) -> None:
    volume = drive(tmp_path, "NODE_F446RE")
    said = "The interface firmware FAILED to reset/halt the target MCU"
    thread = probe(volume, lambda _data: void((volume / "FAIL.TXT").write_text(said)))
    with pytest.raises(Flash, match=f"{said}; check the board's jumpers"):
        copied(volume, firmware)
    thread.join()


def void(_result: object) -> None:
    """For calls whose result does not matter."""


class WrittenInPieces:
    """A probe that does one step at each pause of the host: no clock decides what is read."""

    def __init__(self, volume: Path, *steps: str | None) -> None:
        self.file, self.image = volume / "FAIL.TXT", volume / "firmware.bin"
        self.steps = list(steps)

    def pause(self, _seconds: float) -> None:
        """The next text of FAIL.TXT (None takes it away); after the last one the drive is back."""
        if not self.steps:
            self.image.unlink(missing_ok=True)
        elif (text := self.steps.pop(0)) is None:
            self.file.unlink()
        else:
            self.file.write_text(text)


def waited(volume: Path, firmware: Firmware, probe: WrittenInPieces, settle_s: float) -> None:
    made = commands(firmware, F446, Facts(("cp",), volume=volume))
    assert copy_and_wait(volume, "firmware.bin", made, settle_s, probe.pause) == {}


def test_a_verdict_is_read_when_it_is_whole(tmp_path: Path, firmware: Firmware) -> None:
    """Created empty, written in pieces with a rest between them: only the whole text counts."""
    volume = drive(tmp_path, "NODE_F446RE")
    pieces = ("", "", "", "", "The inter", "The inter", "The interface FAILED to reset")
    with pytest.raises(Flash, match="says: The interface FAILED to reset; check"):
        waited(volume, firmware, WrittenInPieces(volume, *pieces), WAIT_S)


def test_an_old_verdict_that_is_emptied_and_removed_is_none(
    tmp_path: Path, firmware: Firmware
) -> None:
    volume = drive(tmp_path, "NODE_F446RE")
    (volume / "FAIL.TXT").write_text("of yesterday")
    waited(volume, firmware, WrittenInPieces(volume, "of yes", "", "", "", None), WAIT_S)


def test_an_empty_verdict_is_a_refusal_at_the_deadline(tmp_path: Path, firmware: Firmware) -> None:
    volume = drive(tmp_path, "NODE_F446RE")
    with pytest.raises(Flash, match=r"refused the image; its FAIL\.TXT is empty; check"):
        waited(volume, firmware, WrittenInPieces(volume, ""), 0.3)


def test_an_old_verdict_is_not_taken_for_the_new_one(tmp_path: Path, firmware: Firmware) -> None:
    volume = drive(tmp_path, "NODE_F446RE")
    (volume / "FAIL.TXT").write_text("of yesterday")
    thread = probe(volume, lambda _data: (volume / "FAIL.TXT").unlink())
    assert copied(volume, firmware) == {}
    thread.join()


def test_a_verdict_that_stays_is_believed_at_the_deadline(
    tmp_path: Path, firmware: Firmware
) -> None:
    volume = drive(tmp_path, "NODE_F446RE")
    (volume / "FAIL.TXT").write_text("no target")
    with pytest.raises(Flash, match=r"FAIL\.TXT says: no target"):
        copied(volume, firmware, 0.3)


def test_a_drive_that_never_restarts_is_said(tmp_path: Path, firmware: Firmware) -> None:
    volume = drive(tmp_path, "NODE_F446RE")
    assert "did not come back within 0.3 s" in copied(volume, firmware, 0.3)["hint"]


def test_a_drive_that_went_away_is_said(tmp_path: Path, firmware: Firmware) -> None:
    volume = drive(tmp_path, "NODE_F446RE")
    shutil.rmtree(volume)
    with pytest.raises(Flash, match=r"cp failed with exit code 1:\n.*firmware\.bin"):
        copied(volume, firmware)


def test_flash_takes_the_drive_when_nothing_else_is_here(
    tmp_path: Path, firmware: Firmware, fake_tool: Callable[..., Path]
) -> None:
    volume = drive(tmp_path / "media", "NODE_F446RE")
    fake_tool("cp", 'cp "$@"')
    fake_tool("sync")
    thread = probe(volume, lambda _data: None)
    around = surroundings(usb("/dev/ttyACM0"), roots=(tmp_path / "media",))
    result = flashers.flash(firmware, F446, look=lambda: around)
    thread.join()
    assert (result["tool"], result["port"], result["hint"]) == (
        "mass_storage",
        "/dev/ttyACM0",
        None,
    )
    assert result["commands"][0] == f"cp {firmware.bin.resolve()} {volume}/firmware.bin"


def test_no_drive_and_two_drives_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Link, match="labelled NODE_F446RE or NOD_F446RE"):
        find(F446, surroundings())
    drive(tmp_path, "NODE_F446RE")
    drive(tmp_path, "NODE_F446RE1")
    with pytest.raises(Link, match=r"several drives are mounted.*NODE_F446RE\).*NODE_F446RE1\)"):
        find(F446, surroundings(roots=(tmp_path,)))
    with pytest.raises(BadInput, match="no drive"):
        assumed(load_board("virtual_m4"))

"""The copy to the RP2040's boot drive: a folder stands for the drive, removing it for the ROM."""

import shutil
from pathlib import Path

import pytest

from edgeq import flashers
from edgeq.board import all_boards, load_board
from edgeq.errors import BadInput, Flash, Link
from edgeq.flashers.flasher import Commands, Facts
from edgeq.flashers.uf2 import assumed, commands, copy_until_gone, find
from edgeq.toolchain import Firmware
from tests.unit.flashers.conftest import drive, surroundings, usb

PICO = load_board("rp2040")
LABEL, INFO = "RPI-RP2", "INFO_UF2.TXT"


def copy_of(firmware: Firmware, volume: Path) -> Commands:
    firmware.bin.with_suffix(".uf2").write_bytes(b"UF2\n" * 128)
    return commands(firmware, PICO, Facts(("cp",), volume=volume))


def test_the_file_arrives_and_the_drive_leaves(tmp_path: Path, firmware: Firmware) -> None:
    volume, seen = drive(tmp_path, LABEL, INFO), list[bytes]()

    def rom(_seconds: float) -> None:
        seen.append((volume / "firmware.uf2").read_bytes())
        shutil.rmtree(volume)

    made = copy_of(firmware, volume)
    assert copy_until_gone(volume, made, 20.0, rom) == {"hint": None}
    assert seen == [b"UF2\n" * 128]


def test_a_drive_that_stays_has_not_taken_the_file(tmp_path: Path, firmware: Firmware) -> None:
    volume = drive(tmp_path, LABEL, INFO)
    with pytest.raises(Flash, match=r"still there after 0 s: its chip did not take the file"):
        copy_until_gone(volume, copy_of(firmware, volume), 0.0)


def test_a_copy_that_fails_counts_only_while_the_drive_is_there(
    tmp_path: Path, firmware: Firmware
) -> None:
    volume = drive(tmp_path, LABEL, INFO)
    made = copy_of(firmware, volume)
    firmware.bin.with_suffix(".uf2").unlink()
    with pytest.raises(Flash, match=r"cp failed with exit code 1"):
        copy_until_gone(volume, made, 5.0)
    shutil.rmtree(volume)
    assert copy_until_gone(volume, made, 5.0) == {"hint": None}


def test_the_drive_is_told_by_its_label_and_its_file(tmp_path: Path) -> None:
    with pytest.raises(Link, match="no drive RPI-RP2 is mounted: hold BOOTSEL"):
        find(PICO, surroundings(roots=(tmp_path,)))
    (tmp_path / LABEL).mkdir()  # an ordinary stick of the same name
    with pytest.raises(Link, match="hold BOOTSEL"):
        find(PICO, surroundings(roots=(tmp_path,)))
    (tmp_path / LABEL / INFO).write_text("Model: Raspberry Pi RP2")
    around = surroundings(roots=(tmp_path,))
    assert find(PICO, around).volume == tmp_path / LABEL
    assert flashers.attached_boards(around) == (PICO,)
    drive(tmp_path, LABEL + "1", INFO)
    with pytest.raises(
        Link, match="several drives are mounted; name one with --probe, or leave one"
    ):
        find(PICO, surroundings(roots=(tmp_path,)))


def test_another_board_takes_no_uf2() -> None:
    with pytest.raises(BadInput, match="takes no UF2 file"):
        assumed(load_board("nucleo_f446re"))


def test_without_a_probe_the_port_is_the_users_to_name(tmp_path: Path, firmware: Firmware) -> None:
    volume = drive(tmp_path, LABEL, INFO)
    copy_of(firmware, volume)
    result = flashers.flash(
        firmware, PICO, dry_run=True, look=lambda: surroundings(roots=(tmp_path,))
    )
    assert result["tool"] == "uf2"
    assert str(volume / "firmware.uf2") in result["commands"][0]
    assert "BOOTSEL" in result["hint"]
    probe = surroundings(usb("/dev/ttyACM0", "2e8a:000c"))
    assert PICO in flashers.attached_boards(probe)
    known = [board.name for board in all_boards() if "2e8a:000c" in board.probe.usb_ids]
    assert len(known) > 1
    assert [board.name for board in flashers.attached_boards(probe)] == known

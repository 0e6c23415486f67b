"""Which board is meant: by USB id, by the drive's label, by name, or not at all."""

from pathlib import Path

import psutil
import pytest

from edgeq import flashers
from edgeq.board import all_boards, load_board
from edgeq.errors import BadInput, Link
from edgeq.flashers.attached import require_attached, serial_port, the_probe, volumes_of
from tests.unit.flashers.conftest import drive, surroundings, usb

NUCLEOS = [board.name for board in all_boards() if "0483:374b" in board.probe.usb_ids]
F446 = load_board("nucleo_f446re")


def names(around: flashers.Surroundings) -> list[str]:
    return [board.name for board in flashers.attached_boards(around)]


def test_a_named_board_needs_no_attached_one() -> None:
    nothing = surroundings()
    assert flashers.choose_board("virtual", nothing).name == "virtual_m4"
    assert flashers.choose_board("NUCLEO-F446RE", nothing) is F446
    assert flashers.choose_board("f446", nothing) is F446


def test_an_unknown_name_is_bad_input() -> None:
    with pytest.raises(BadInput, match=r"unknown board 'zx81'.*virtual_m4"):
        flashers.choose_board("zx81", surroundings(usb("/dev/ttyACM0")))


def test_nothing_attached_lists_the_boards_and_the_one_that_needs_no_hardware() -> None:
    plain = surroundings(usb("/dev/ttyS0", ""), usb("/dev/ttyUSB0", "10c4:ea60"))
    with pytest.raises(Link, match=r"no board is attached.*nucleo_f446re.*--board virtual_m4"):
        flashers.choose_board(None, plain)
    with pytest.raises(Link, match="'nucleo' could mean " + ", ".join(NUCLEOS)):
        flashers.choose_board("nucleo", plain)


def test_one_probe_without_a_drive_could_be_any_board_of_its_id() -> None:
    around = surroundings(usb("/dev/ttyACM0"))
    assert names(around) == NUCLEOS
    for name in (None, "nucleo"):
        with pytest.raises(Link, match="could be " + ", ".join(NUCLEOS)):
            flashers.choose_board(name, around)


@pytest.mark.parametrize("label", ["NODE_F446RE", "NOD_F446RE", "NODE_F446RE1"])
@pytest.mark.parametrize("details", ["DETAILS.TXT", "mbed.htm"])
def test_the_label_of_the_drive_decides(tmp_path: Path, label: str, details: str) -> None:
    drive(tmp_path, label, details)
    around = surroundings(usb("/dev/ttyACM0"), roots=(tmp_path,))
    assert names(around) == ["nucleo_f446re"]
    assert flashers.choose_board(None, around) is F446
    assert flashers.choose_board("nucleo", around) is F446


def test_a_stick_of_that_name_is_no_probe(tmp_path: Path) -> None:
    (tmp_path / "NODE_F446RE").mkdir()
    drive(tmp_path, "NODE_F446RE_BACKUP")
    around = surroundings(usb("/dev/ttyACM0"), roots=(tmp_path,))
    assert volumes_of(F446, around) == ()
    assert names(around) == NUCLEOS


def test_two_probes_and_one_drive_decide_nothing(tmp_path: Path) -> None:
    drive(tmp_path, "NODE_F446RE")
    around = surroundings(usb("/dev/ttyACM0"), usb("/dev/ttyACM1"), roots=(tmp_path,))
    assert names(around) == NUCLEOS
    drive(tmp_path, "NODE_L4R5ZI")
    both = surroundings(usb("/dev/ttyACM0"), usb("/dev/ttyACM1"), roots=(tmp_path,))
    assert names(both) == ["nucleo_f446re", "nucleo_l4r5zi"]
    with pytest.raises(Link, match="could be nucleo_f446re, nucleo_l4r5zi"):
        flashers.choose_board(None, both)
    with pytest.raises(Link, match=r"2 probes .*ttyACM0.*ttyACM1"):
        the_probe(F446, both)


def test_another_board_in_its_place_is_named(tmp_path: Path) -> None:
    drive(tmp_path, "NODE_L4R5ZI")
    around = surroundings(usb("/dev/ttyACM0"), roots=(tmp_path,))
    with pytest.raises(Link, match=r"nucleo_f446re is not attached; attached: nucleo_l4r5zi"):
        require_attached(F446, around)
    require_attached(load_board("nucleo_l4r5zi"), around)


def test_the_serial_port_is_waited_for_but_not_for_ever() -> None:
    looks = [surroundings(), surroundings(usb("/dev/ttyACM3"))]
    assert serial_port(F446, lambda: looks.pop(0)) == "/dev/ttyACM3"
    assert serial_port(F446, surroundings, wait_s=0.1) is None
    both = surroundings(usb("/dev/ttyACM0"), usb("/dev/ttyACM1"))
    assert serial_port(F446, lambda: both) is None


def test_the_real_look_ends_without_error() -> None:
    assert isinstance(flashers.look(), flashers.Surroundings)


@pytest.mark.skipif(not psutil.LINUX, reason="a /proc of the test's own")
def test_drives_count_wherever_they_are_mounted_but_not_a_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {"NODE F446RE": "vfat", "NODE_L4R5ZI": "nfs4", "RPI-RP2": "9p", "PYBFLASH": "tmpfs"}
    mounts = [f"/dev/sdb {drive(tmp_path, name)} {kind} rw 0 0" for name, kind in labels.items()]
    mounts += [f"/dev/sdc {tmp_path / 'gone'} vfat rw 0 0"]
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    escaped = "\n".join(mounts).replace("NODE F", r"NODE\040F")  # as the kernel writes a blank
    (proc / "self" / "mounts").write_text(escaped + "\n")
    others = "".join(f"nodev\t{kind}\n" for kind in ("nfs4", "9p", "tmpfs"))
    (proc / "filesystems").write_text(others + "\tvfat\n")
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(proc))
    assert [folder.name for folder in flashers.look(list).volumes] == ["NODE F446RE", "RPI-RP2"]
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "none"))
    assert flashers.look(list).volumes == ()

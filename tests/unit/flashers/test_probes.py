"""Two boards of one kind: the probe's serial number leads to its port, its drive and its chip."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq import flashers, verbs
from edgeq.board import load_board
from edgeq.errors import BadInput, Link
from edgeq.flashers import attached, dfu_util, mass_storage, openocd, probes, pyocd
from edgeq.flashers.flasher import Facts
from edgeq.flashers.one_port import find_port
from edgeq.flashers.probes import drive_serial, of_probe, require_probe
from edgeq.flashers.usb import UsbDevice
from edgeq.toolchain import Firmware
from tests.command_line import run_cli
from tests.unit.flashers.conftest import drive, surroundings, usb

F446 = load_board("nucleo_f446re")
FIRST, SECOND = "066AFF", "066BFF"


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> flashers.Surroundings:
    """Two NUCLEO-F446RE, each with its port and its drive, as look() finds them."""
    drives = {drive(tmp_path, "NODE_F446RE"): FIRST, drive(tmp_path, "NODE_F446RE1"): SECOND}
    monkeypatch.setattr(probes, "drive_serial", drives.get)
    ports = (usb("/dev/ttyACM0", serial_number=FIRST), usb("/dev/ttyACM1", serial_number=SECOND))
    around = surroundings(*ports, roots=(tmp_path,))
    for module in (probes, attached, flashers):
        monkeypatch.setattr(module, "look", lambda: around)
    monkeypatch.setattr(probes, "usb_devices", tuple)
    return around


@pytest.mark.parametrize("tool", ["openocd", "pyocd", "cubeprogrammer", "mass_storage"])
@pytest.mark.parametrize("number", [FIRST, SECOND.lower()])
def test_case_26_every_flasher_takes_the_probe(
    two: flashers.Surroundings,
    tool: str,
    number: str,
    firmware: Firmware,
    fake_tool: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pyocd, "importable", lambda: False)
    monkeypatch.setattr(mass_storage, "copy_and_wait", lambda *_args: {})
    record = fake_tool({"cubeprogrammer": "STM32_Programmer_CLI"}.get(tool, tool))
    with pytest.raises(Link, match=rf"name one with --probe.*{FIRST} .*{SECOND} "):
        flashers.flash(firmware, F446, tool=tool, look=lambda: two)
    result = flashers.flash(firmware, F446, tool=tool, look=lambda: two, probe=number)
    second = number != FIRST
    assert result["port"] == f"/dev/ttyACM{int(second)}"
    words = shlex.split(result["commands"][0])
    if tool == "mass_storage":
        assert words[-1] == str(two.volumes[second] / "firmware.bin")
        return
    assert record.read_text().splitlines() == words[1:]
    wanted = {"openocd": f"{{{number}}}", "pyocd": number, "cubeprogrammer": f"sn={number}"}
    assert any(wanted[tool] in word for word in words)


def test_case_26_the_first_tool_is_taken_and_the_board_needs_no_name(
    two: flashers.Surroundings, firmware: Firmware, fake_tool: Callable[..., Path]
) -> None:
    fake_tool("openocd")
    assert flashers.choose_board(None, flashers.look_at(SECOND)) is F446
    result = flashers.flash(firmware, F446, look=lambda: two, probe=SECOND)
    assert (result["tool"], result["port"]) == ("openocd", "/dev/ttyACM1")


def test_of_two_kinds_the_drives_label_tells_the_probe(
    tmp_path: Path,
    firmware: Firmware,
    fake_tool: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drives = {drive(tmp_path, "NODE_F446RE"): SECOND, drive(tmp_path, "NODE_L4R5ZI"): FIRST}
    monkeypatch.setattr(probes, "drive_serial", drives.get)
    ports = (usb("/dev/ttyACM0", serial_number=FIRST), usb("/dev/ttyACM1", serial_number=SECOND))
    around = surroundings(*ports, roots=(tmp_path,))
    fake_tool("openocd")
    result = flashers.flash(firmware, F446, tool="openocd", look=lambda: around)
    assert SECOND in result["commands"][0]
    assert result["port"] == "/dev/ttyACM1"


def test_case_26_profile_and_boards_take_it_too(two: flashers.Surroundings) -> None:
    assert find_port(SECOND) == "/dev/ttyACM1"
    facts = verbs.boards(FIRST)
    assert [port["port"] for port in facts["ports"]] == ["/dev/ttyACM0"]
    assert facts["drives"] == [str(two.volumes[0])]
    assert facts["attached"] == ["nucleo_f446re"]
    both = verbs.boards()
    assert len(both["ports"]) == len(both["drives"]) == 2


def test_case_26_an_absent_probe_is_a_link_error_that_lists_the_others(
    two: flashers.Surroundings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Link, match=rf"number 0000 is attached; attached: {FIRST} .*{SECOND} "):
        require_probe(probes.with_serials(two), "0000", ())
    assert run_cli(monkeypatch, "boards", "--probe", "0000") == 5
    assert SECOND in capsys.readouterr().err
    assert run_cli(monkeypatch, "profile", "--probe", SECOND, "--port", "/dev/x") == 2


@pytest.mark.parametrize("given", ["", "a b", "a\x1b[2J", "ä", "0" * 10 + "\n"])
def test_case_26_what_is_no_serial_number_is_refused(given: str) -> None:
    with pytest.raises(BadInput, match="is no serial number"):
        require_probe(surroundings(), given, ())


def test_case_26_an_emulated_board_has_no_probe(firmware: Firmware) -> None:
    for board, tool in ((load_board("virtual_m4"), None), (F446, "virtual")):
        with pytest.raises(BadInput, match=f"{board.name} is emulated by virtual"):
            flashers.flash(firmware, board, tool=tool, dry_run=True, look=surroundings, probe="A1")


def test_case_26_a_dry_run_shows_the_probe_that_is_not_here(
    firmware: Firmware, no_tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyocd, "importable", lambda: False)
    board = load_board("nucleo_l4r5zi")
    for tool in ("openocd", "pyocd", "cubeprogrammer", "dfu_util"):
        result = flashers.flash(
            firmware, board, tool=tool, dry_run=True, look=surroundings, probe="A1"
        )
        assert "A1" in result["commands"][0]


def test_case_26_two_boot_loaders_are_told_apart(
    fake_tool: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tool("dfu-util")
    board = load_board("nucleo_l4r5zi")
    loaders = tuple(UsbDevice("0483:df11", "DFU", number) for number in ("20A1", "20B2"))
    monkeypatch.setattr(dfu_util, "usb_devices", lambda: loaders)
    with pytest.raises(Link, match="2 boot loaders are on USB; name one with --probe: 20A1, 20B2"):
        dfu_util.find(board, surroundings())
    chosen = require_probe(surroundings(), "20b2", loaders)
    assert dfu_util.find(board, chosen).serial_number == "20b2"


def test_a_probe_without_port_and_drive_is_known_by_sysfs() -> None:
    jlink = UsbDevice("1366:0101", "J-Link", "000683")
    assert require_probe(surroundings(), "000683", (jlink,)).probe == "000683"
    with pytest.raises(Link, match="attached: none"):
        require_probe(surroundings(), "0483", (UsbDevice("04f2:0111", "keyboard", "0483"),))


def test_a_drive_of_unknown_number_may_be_the_probes(tmp_path: Path) -> None:
    drive(tmp_path, "NODE_F446RE")
    around = surroundings(usb("/dev/ttyACM0", serial_number=FIRST), roots=(tmp_path,))
    assert of_probe(around, FIRST).volumes == around.volumes


def test_the_drives_number_comes_from_its_usb_device(tmp_path: Path) -> None:
    device = os.stat(tmp_path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    usb_folder = tmp_path / "devices" / "usb1" / "1-2"
    disk = usb_folder / "1-2:1.1" / "host0" / "block" / "sda"
    blocks = tmp_path / "blocks"
    for folder in (disk, blocks):
        folder.mkdir(parents=True)
    (blocks / number).symlink_to(disk)
    assert drive_serial(tmp_path, blocks) is None, "no USB device above it"
    (usb_folder / "idVendor").write_text("0483\n")
    assert drive_serial(tmp_path, blocks) is None, "a device without a number"
    (usb_folder / "serial").write_text("066BFF\n")
    assert drive_serial(tmp_path, blocks) == "066BFF"
    assert drive_serial(tmp_path / "gone", blocks) is None
    assert drive_serial(tmp_path, tmp_path / "no sysfs") is None


def test_openocd_reads_the_serial_number_whole(tmp_path: Path, firmware: Firmware) -> None:
    command = openocd.commands(firmware, F446, Facts(("openocd",), serial_number="06$[x];6"))[0]
    script = command[command.index("-c") + 1]
    for tcl in ("tclsh", "jimsh"):
        if shutil.which(tcl):
            said = "proc adapter {what n} {puts <$n>}; "
            run = subprocess.run([tcl], input=said + script, capture_output=True, text=True)
            assert run.stdout.strip() == "<06$[x];6>"
    assert script.count("{06$[x];6}") == 2, "in braces Tcl substitutes nothing"
    with pytest.raises(BadInput, match="cannot take the serial number"):
        openocd.commands(firmware, F446, Facts(("openocd",), serial_number="a}b"))

"""teensy_loader_cli: its command, what is said where it lacks, and the real one on a real file."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq import flashers
from edgeq.board import load_board
from edgeq.errors import BadInput, Flash, Link, Toolchain
from edgeq.flashers import teensy_loader
from edgeq.flashers.usb import UsbDevice
from edgeq.toolchain import Firmware
from tests.hang import HANG_S
from tests.unit.flashers.conftest import surroundings

TEENSY = load_board("teensy40")
LOADER = UsbDevice("16c0:0478", "HalfKay", "00012345")
STICK = UsbDevice("0781:5567", "Cruzer")


@pytest.fixture
def on_usb(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """on_usb(DEVICES): what sysfs shows."""
    return lambda *devices: monkeypatch.setattr(teensy_loader, "usb_devices", lambda: devices)


def flash(firmware: Firmware, **options: object) -> dict[str, object]:
    return flashers.flash(firmware, TEENSY, look=surroundings, **options)  # type: ignore[arg-type]


def test_it_writes_the_hex_file(
    firmware: Firmware, fake_tool: Callable[..., Path], on_usb: Callable[..., None]
) -> None:
    record = fake_tool("teensy_loader_cli")
    on_usb(STICK, LOADER)
    assert flash(firmware)["tool"] == "teensy_loader"
    written = str(firmware.bin.resolve().with_suffix(".hex"))
    assert record.read_text().splitlines() == ["--mcu=TEENSY40", "-v", written]
    assert "button" in str(flash(firmware, dry_run=True)["hint"])


def test_a_teensy_that_runs_its_program_is_no_boot_loader(
    firmware: Firmware, fake_tool: Callable[..., Path], on_usb: Callable[..., None]
) -> None:
    record = fake_tool("teensy_loader_cli")
    on_usb(STICK)
    with pytest.raises(Link, match=r"no boot loader \(16c0:0478\).*press the button"):
        flash(firmware)
    on_usb(LOADER, LOADER)
    with pytest.raises(Link, match="2 Teensy boot loaders are on USB; leave one"):
        flash(firmware)
    assert not record.exists()
    on_usb()  # where USB cannot be seen, the tool looks itself
    flash(firmware)
    assert record.exists()


def test_without_the_tool_it_says_where_to_get_it(firmware: Firmware, no_tools: Path) -> None:
    with pytest.raises(Toolchain, match="apt install teensy-loader-cli"):
        flash(firmware)


def test_a_board_of_another_maker_is_refused() -> None:
    with pytest.raises(BadInput, match="nucleo_f446re names no teensy_mcu"):
        teensy_loader.assumed(load_board("nucleo_f446re"))


def test_a_failure_is_quoted(
    firmware: Firmware, fake_tool: Callable[..., Path], on_usb: Callable[..., None]
) -> None:
    fake_tool("teensy_loader_cli", "echo 'error writing to Teensy'; exit 1")
    on_usb(LOADER)
    with pytest.raises(Flash, match=r"(?s)teensy_loader_cli failed.*error writing to Teensy"):
        flash(firmware)


def test_the_real_one_reads_every_byte(echo_elf: Callable[[str], Firmware], tmp_path: Path) -> None:
    """Then it finds no Teensy here; a damaged line it refuses."""
    real = shutil.which("teensy_loader_cli")
    if real is None:
        pytest.skip("teensy_loader_cli is not installed")
    built = echo_elf("teensy40")
    (command,) = teensy_loader.commands(built, TEENSY, teensy_loader.assumed(TEENSY))
    said = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)
    assert f": {built.bin.stat().st_size} bytes," in said.stdout, said
    assert "Unable to open device" in said.stdout + said.stderr
    lines = built.bin.with_suffix(".hex").read_text().splitlines()
    damaged = tmp_path / "damaged.hex"
    damaged.write_text("\n".join([lines[0], lines[1][:-1] + "0", *lines[2:]]))
    bad = subprocess.run([*command[:-1], damaged], capture_output=True, text=True, timeout=HANG_S)
    assert "error reading intel hex file" in bad.stdout + bad.stderr

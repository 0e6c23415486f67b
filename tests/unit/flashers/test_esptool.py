"""esptool: its command, and what is said where tool or port lack. It itself: tests/acceptance."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq import flashers
from edgeq.board import load_board
from edgeq.errors import BadInput, Flash, Link, Toolchain
from edgeq.flashers import esptool
from edgeq.toolchain import Firmware
from tests.unit.flashers.conftest import surroundings, usb

ESP = load_board("esp32c3")
BRIDGE = usb("/dev/ttyUSB0", "10c4:ea60", "A1")
OTHER = usb("/dev/ttyUSB1", "10c4:ea60", "B7")


@pytest.fixture(autouse=True)
def only_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this environment has."""
    monkeypatch.setattr(esptool, "installed", lambda _module: False)


def flash(firmware: Firmware, *ports: object, **options: object) -> dict[str, object]:
    return flashers.flash(
        firmware,
        ESP,
        look=lambda: surroundings(*ports),
        **options,  # type: ignore[arg-type]
    )


def test_it_writes_to_the_start_of_flash_at_the_boards_port(
    firmware: Firmware, fake_tool: Callable[..., Path]
) -> None:
    record = fake_tool("esptool")
    result = flash(firmware, BRIDGE)
    assert record.read_text().splitlines() == [
        "--chip", "esp32c3", "--port", "/dev/ttyUSB0",
        "write-flash", "0x0", str(firmware.bin.resolve()),
    ]  # fmt: skip
    assert (result["tool"], result["port"]) == ("esptool", "/dev/ttyUSB0")
    assert "BOOT" in str(flash(firmware, BRIDGE, dry_run=True)["hint"])


def test_the_one_beside_this_python_comes_first(
    firmware: Firmware, no_tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(esptool, "installed", lambda module: module == "esptool")
    (command,) = flash(firmware, BRIDGE, dry_run=True)["commands"]  # type: ignore[misc]
    assert command.startswith(f"{sys.executable} -m esptool --chip esp32c3 --port /dev/ttyUSB0")


def test_without_esptool_its_extra_is_named(firmware: Firmware, no_tools: Path) -> None:
    with pytest.raises(Toolchain, match=r"esptool is not installed: pip install 'edgeq\[esptool\]"):
        flash(firmware, BRIDGE)
    (command,) = flash(firmware, dry_run=True)["commands"]  # type: ignore[misc]
    assert command.startswith("esptool --chip esp32c3 --port PORT write-flash 0x0 ")


def test_one_of_two_is_named_by_its_number(
    firmware: Firmware, fake_tool: Callable[..., Path]
) -> None:
    record = fake_tool("esptool")
    with pytest.raises(Link, match=r"2 such ports.*--probe: A1 \(/dev/ttyUSB0\), B7"):
        flash(firmware, BRIDGE, OTHER)
    assert not record.exists()
    flash(firmware, BRIDGE, OTHER, probe="B7")
    assert "/dev/ttyUSB1" in record.read_text()


def test_without_a_port_nothing_is_tried(
    firmware: Firmware, fake_tool: Callable[..., Path]
) -> None:
    record = fake_tool("esptool")
    with pytest.raises(Link, match=r"no port that esp32c3_devkit could be behind \(10c4:ea60"):
        flash(firmware, usb("/dev/ttyACM0", "2341:005a"))
    assert not record.exists()


def test_a_bridge_names_no_board() -> None:
    """Thousands of boards of others have the same one."""
    assert flashers.attached_boards(surroundings(BRIDGE)) == ()


def test_a_board_of_another_maker_is_refused() -> None:
    with pytest.raises(BadInput, match="nucleo_f446re names no esptool_chip"):
        esptool.assumed(load_board("nucleo_f446re"))


def test_a_failure_is_quoted(firmware: Firmware, fake_tool: Callable[..., Path]) -> None:
    fake_tool("esptool", "echo 'Failed to connect to ESP32-C3: No serial data'; exit 2")
    with pytest.raises(Flash, match=r"(?s)esptool failed.*No serial data received|No serial data"):
        flash(firmware, BRIDGE)

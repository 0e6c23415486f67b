"""bossac: its command, and what is said where tool or boot loader lack."""

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq import flashers
from edgeq.board import load_board
from edgeq.errors import Flash, Link, Toolchain
from edgeq.toolchain import Firmware
from tests.unit.flashers.conftest import surroundings, usb

NANO = load_board("nano_33_ble")
LOADER = usb("/dev/ttyACM3", "2341:005a", "A1")
SKETCH = usb("/dev/ttyACM4", "2341:805a", "A2")


@pytest.fixture(autouse=True)
def no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a serial port that will not come."""
    monkeypatch.setattr(flashers, "serial_port", lambda *_: None)


def flash(firmware: Firmware, *ports: object, **options: object) -> dict[str, object]:
    return flashers.flash(
        firmware,
        NANO,
        tool="bossac",
        look=lambda: surroundings(*ports),
        **options,  # type: ignore[arg-type]
    )


def test_it_writes_through_the_boot_loader_that_is_there(
    firmware: Firmware, fake_tool: Callable[..., Path]
) -> None:
    record = fake_tool("bossac")
    result = flash(firmware, SKETCH, LOADER)
    written = str(firmware.bin.resolve())
    assert record.read_text().splitlines() == [
        "--port=ttyACM3", "-U", "-i", "-e", "-w", written, "-R"
    ]  # fmt: skip
    assert result["tool"] == "bossac"
    assert "twice" in str(flash(firmware, dry_run=True)["hint"])


def test_a_running_sketch_is_no_boot_loader(
    firmware: Firmware, fake_tool: Callable[..., Path]
) -> None:
    record = fake_tool("bossac")
    with pytest.raises(Link, match=r"no boot loader \(2341:005a\).*button twice"):
        flash(firmware, SKETCH)
    assert not record.exists()


def test_one_of_two_boot_loaders_is_named_by_its_number(
    firmware: Firmware, fake_tool: Callable[..., Path]
) -> None:
    record = fake_tool("bossac")
    other = usb("/dev/ttyACM5", "2341:005a", "B7")
    with pytest.raises(Link, match=r"2 boot loaders.*--probe: A1 \(/dev/ttyACM3\), B7"):
        flash(firmware, LOADER, other)
    assert not record.exists()
    flash(firmware, LOADER, other, probe="B7")
    assert record.read_text().splitlines()[0] == "--port=ttyACM5"


def test_without_bossac_it_says_where_to_get_it(firmware: Firmware, no_tools: Path) -> None:
    with pytest.raises(Toolchain, match="apt install bossa-cli"):
        flash(firmware, LOADER)


def test_a_failure_is_quoted_with_the_other_tools(
    firmware: Firmware, fake_tool: Callable[..., Path]
) -> None:
    fake_tool("bossac", "echo 'SAM-BA operation failed'; exit 1")
    with pytest.raises(Flash, match=r"(?s)bossac failed.*SAM-BA operation.*--with: pyocd"):
        flash(firmware, LOADER)

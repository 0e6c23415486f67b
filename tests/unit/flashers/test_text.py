"""What `edgeq boards` says of ports, probes, drives and meters."""

from pathlib import Path

from edgeq.board import load_board
from edgeq.flashers.text import attached_json, boards_json, boards_text
from edgeq.flashers.usb import UsbDevice, known_devices
from tests.unit.flashers.conftest import drive, surroundings, usb

F446 = load_board("nucleo_f446re")


def test_everything_attached_is_listed(tmp_path: Path) -> None:
    drive(tmp_path, "NODE_F446RE")
    around = surroundings(
        usb("/dev/ttyACM0"), usb("/dev/ttyACM1", "1915:c00a", None), roots=(tmp_path,)
    )
    seen = (UsbDevice("0483:374b", "STM32 STLink", "066F"), UsbDevice("046d:c31c", "Keyboard"))
    facts = boards_json([F446], [F446], []) | attached_json(around, known_devices(around, seen))
    assert [port["port"] for port in facts["ports"]] == ["/dev/ttyACM0", "/dev/ttyACM1"]
    assert facts["drives"] == [str(tmp_path / "NODE_F446RE")]
    assert [(each["what"], each["name"]) for each in facts["devices"]] == [
        ("probe", "STM32 STLink"),
        ("meter", "/dev/ttyACM1"),  # sysfs did not show it, its port did
    ]
    text = boards_text(facts).splitlines()
    assert "attached: nucleo_f446re" in text
    assert "  /dev/ttyACM0     0483:374b  066F" in text
    assert "  meter        Nordic PPK2: /dev/ttyACM1 (1915:c00a)" in text
    assert f"drive: {tmp_path / 'NODE_F446RE'}" in text


def test_nothing_attached_is_said() -> None:
    around = surroundings()
    facts = boards_json([F446], [], []) | attached_json(around, known_devices(around, ()))
    text = boards_text(facts)
    for line in ("attached: none", "ports: none", "probes and meters: none", "running: none"):
        assert line in text.splitlines()

"""What labgrid-client says of a place, as the real one (26.0.1) printed it."""

import pytest

from edgeq.errors import Link
from edgeq.places.place import Place, place_in

SHOWN = """\
Place 'bench-a':
  aliases: desk
  comment: on the second shelf
  tags: board=nucleo_f446re, virtual=yes
  matches:
    shelf/bench-a/*
  acquired: vm/root
  acquired resources:
    shelf/bench-a/NetworkSerialPort/NetworkSerialPort
  allowed: vm/root, lab/bob
  created: 2026-12-01 00:19:01.324806
  changed: 2026-12-01 00:19:38.653849
Acquired resource 'RawSerialPort' (shelf/bench-a/NetworkSerialPort/RawSerialPort):
  {'acquired': 'bench-a',
   'avail': True,
   'cls': 'NetworkSerialPort',
   'params': {'extra': {'path': '/dev/ttyACM0',
                        'proxy': 'localhost',
                        'proxy_required': False},
              'host': 'lab7',
              'port': 41231,
              'speed': 115200}}
"""


def test_all_of_it() -> None:
    place = place_in(SHOWN)
    assert (place.name, place.holder, place.board) == ("bench-a", "vm/root", "nucleo_f446re")
    assert place.allowed == ("vm/root", "lab/bob")
    assert (place.virtual, place.here, place.storage) == (True, False, False)
    assert place.serial.url == "rfc2217://lab7:41231"  # ser2net's, where none is named
    assert place.serial.path == "/dev/ttyACM0"


def test_a_drive_to_copy_to() -> None:
    drive = "Acquired resource 'd' (s/a/NetworkUSBMassStorage/d):\n"
    assert place_in(SHOWN + drive + "  {'avail': True, 'cls': 'NetworkUSBMassStorage'}\n").storage


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("'port': 41231", "'port': None"),  # nobody has acquired it: ser2net does not run
        ("'port': 41231", "'port': 70000"),
        ("'avail': True", "'avail': False"),
        ("'host': 'lab7'", "'host': 'lab7/../x'"),
        ("'host': 'lab7'", "'host': __import__('os').getcwd()"),
        ("'speed'", "'protocol': 'spy', 'speed'"),
        ("'NetworkSerialPort'", "'NetworkPowerPort'"),
    ],
)
def test_no_serial_port(what: str, instead: str) -> None:
    with pytest.raises(Link, match=r"bench-a has no serial port .* is its exporter running"):
        _ = place_in(SHOWN.replace(what, instead)).serial


def test_several_serial_ports() -> None:
    place = place_in(SHOWN)
    with pytest.raises(Link, match=r"has 2 serial ports \(rfc2217://lab7:41231, "):
        _ = Place("x", serials=place.serials * 2).serial


@pytest.mark.parametrize("text", ["", "hello\n", "Place 'x':\n  tags: a=b\n"])
def test_another_text(text: str) -> None:
    with pytest.raises(Link, match="not a place"):
        place_in(text)


def test_a_name_that_steers_a_terminal() -> None:
    assert place_in(SHOWN.replace("vm/root", "vm/\x1b[2J")).holder == "vm/\\x1b[2J"

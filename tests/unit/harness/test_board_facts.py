"""What a board says of itself is held to what a board can be before anything is made of it."""

import struct

import pytest

from edgeq.errors import Link
from edgeq.harness.messages import parse_info, parse_result, plain_ports

GOOD = {"clock_hz": 64_000_000, "input_bytes": 4, "output_count": 3, "layer_count": 2}
WORDS = {"model_digest": "a" * 64, "firmware_digest": "b" * 64, "board": "b", "model": "m"}


def info_record(**changes: object) -> bytes:
    numbers = [changes.get(k, v) for k, v in GOOD.items()]
    texts = [str(changes.get(k, v)).encode("latin-1") for k, v in WORDS.items()]
    body = struct.pack("<BBIIII", 1, 4, *numbers) + b"".join(bytes((len(t),)) + t for t in texts)
    return struct.pack("<H", len(body) + 2) + body


def test_a_sound_board_is_believed() -> None:
    info = parse_info(info_record())
    assert (info.clock_hz, info.output_count, info.board) == (64_000_000, 3, "b")


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("clock_hz", 0),
        ("input_bytes", 0),
        ("input_bytes", 2**32 - 1),
        ("output_count", 0),
        ("output_count", 2**32 - 1),
        ("layer_count", 0),
        ("layer_count", 2**32 - 1),
        ("model_digest", "a" * 63 + "g"),
        ("firmware_digest", ""),
        ("board", ""),
        ("board", "x\x1b[2J"),
        ("model", "\x07"),
    ],
)
def test_case_21_an_absurd_fact_is_a_link_error_that_names_it(fact: str, value: object) -> None:
    with pytest.raises(Link, match=rf"claims (a )?{fact}") as caught:
        parse_info(info_record(**{fact: value}))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("route", "confidence", "cycles"), [(-2, 0, 9), (0, 2**15 + 1, 9), (0, 0, 2**63)]
)
def test_case_21_an_absurd_result_is_refused(route: int, confidence: int, cycles: int) -> None:
    import zlib

    from edgeq.harness.messages import RESULT_CRC_AT, RESULT_HEADER

    head = RESULT_HEADER.pack(7, 0, route, 0, confidence, cycles, 0, 5, 0)
    crc = zlib.crc32(head[:RESULT_CRC_AT] + b"\x01")
    head = RESULT_HEADER.pack(7, 0, route, 0, confidence, cycles, 0, 5, crc)
    with pytest.raises(Link, match="which no firmware"):
        parse_result(7, 5, head + b"\x01", b"", plain_ports(1, 1)[1])

"""Byte stuffing and CRC of frames, and what the decoder makes of damage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.harness.frame import RESERVED, Decoder, Frame, decode, encode

FRAMES = st.builds(Frame, st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=64))


@given(FRAMES)
def test_round_trip_and_no_reserved_byte(frame):
    wire = encode(frame)
    assert wire[0] == wire[-1] == 0x7E
    assert 0x7E not in wire[1:-1]
    assert RESERVED.isdisjoint(wire)
    assert decode(wire[1:-1]) == frame


@given(st.lists(FRAMES, max_size=5), st.binary(max_size=40), st.integers(1, 7))
def test_frames_amid_text_in_any_pieces(frames, noise, step):
    noise = noise.replace(b"~", b"")
    stream = noise + b"m-ready\r\n" + b"m-ready\r\n".join(map(encode, frames)) + noise
    decoder = Decoder()
    found = []
    for at in range(0, len(stream), step):
        found += decoder.feed(stream[at : at + step])
    assert found == frames


@given(FRAMES, st.data())
def test_one_hurt_byte_is_never_another_frame(frame, data):
    wire = bytearray(encode(frame))
    at = data.draw(st.integers(1, len(wire) - 2))
    wire[at] ^= data.draw(st.integers(1, 255))
    assert all(found == frame for found in Decoder().feed(bytes(wire)))


@given(FRAMES, FRAMES, st.data())
def test_a_lost_byte_costs_one_frame_at_most(first, second, data):
    wire = bytearray(encode(first))
    del wire[data.draw(st.integers(0, len(wire) - 1))]
    found = Decoder().feed(bytes(wire) + encode(second))
    assert found[-1] == second


def test_too_long_payload_is_refused():
    with pytest.raises(ValueError, match="65 bytes, at most 64"):
        encode(Frame(1, 0, bytes(65)))


def test_endless_noise_stays_bounded():
    decoder = Decoder()
    for _ in range(100):
        assert decoder.feed(b"x" * 1000) == []
    assert len(decoder.tail(10_000)) <= 2000
    assert decoder.feed(encode(Frame(1, 2, b"ok"))) == [Frame(1, 2, b"ok")]


def test_worked_example_of_the_document():
    wire = bytes.fromhex("7e 02 34 12 07 01 00 00 00 00 7d 05 7d 5e e9 ce 39 23 7e")
    assert encode(Frame(2, 0x1234, bytes.fromhex("01 00000000 25 7e"))) == wire
    wire = bytes.fromhex("7e 82 34 12 05 01 00 00 00 00 04 54 c1 32 7e")
    assert encode(Frame(0x82, 0x1234, bytes.fromhex("01 00000000"))) == wire

"""Intel HEX: read back by the rules of the format, at every place of a bank."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput
from edgeq.toolchain.intel_hex import intel_hex


def read(text: str) -> dict[int, int]:
    """Address to byte; AssertionError for what the format forbids."""
    found, base, ended = dict[int, int](), 0, False
    for line in text.splitlines():
        assert line[0] == ":"
        assert not ended
        data = bytes.fromhex(line[1:])
        assert sum(data) & 0xFF == 0
        count, address, kind, body = data[0], data[1] << 8 | data[2], data[3], data[4:-1]
        assert len(body) == count
        if kind == 4:
            base = int.from_bytes(body, "big") << 16
        elif kind == 0:
            assert address + count <= 1 << 16, "no line crosses its bank"
            found |= {base + address + at: byte for at, byte in enumerate(body)}
        else:
            ended = kind == 1
    assert ended
    return found


@given(st.binary(max_size=200), st.integers(0, (1 << 32) - 200))
def test_every_byte_is_where_it_belongs(image: bytes, origin: int) -> None:
    assert read(intel_hex(image, origin)) == {origin + at: byte for at, byte in enumerate(image)}


@pytest.mark.parametrize("origin", [0xFFF8, 0x6000_FFFF, 0x5FFF_FFF0])
def test_a_bank_is_left_at_its_end(origin: int) -> None:
    image = bytes(range(40))
    assert read(intel_hex(image, origin)) == {origin + at: byte for at, byte in enumerate(image)}


def test_what_ends_past_32_bits_is_refused() -> None:
    with pytest.raises(BadInput, match="2 bytes at 0xffffffff end past"):
        intel_hex(b"ab", 0xFFFFFFFF)
    assert len(intel_hex(b"a", 0xFFFFFFFF).splitlines()) == 3

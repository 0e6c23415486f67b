"""Intel HEX, the text that some boot loaders' tools take: lines that each say where they belong."""

from collections.abc import Iterator

from edgeq.errors import BadInput

ADDRESSES = 1 << 32
_LINE_BYTES, _BANK = 16, 1 << 16
_DATA, _END, _BANK_OF = 0, 1, 4


def _line(address: int, kind: int, data: bytes) -> str:
    body = bytes([len(data), address >> 8 & 0xFF, address & 0xFF, kind]) + data
    return f":{(body + bytes([-sum(body) & 0xFF])).hex().upper()}\n"


def intel_hex(image: bytes, origin: int) -> str:
    """`image` at `origin`, with 32-bit addresses; BadInput where it ends past them."""
    if not 0 <= origin <= origin + len(image) <= ADDRESSES:
        raise BadInput(
            f"Intel HEX has 32 bits for an address: {len(image)} bytes at {origin:#x} end past "
            "them; correct the board file"
        )
    return "".join(_lines(image, origin))


def _lines(image: bytes, origin: int) -> Iterator[str]:
    bank, at = -1, 0
    while at < len(image):
        address = origin + at
        if address // _BANK != bank:
            bank = address // _BANK
            yield _line(0, _BANK_OF, bank.to_bytes(2, "big"))
        count = min(_LINE_BYTES, _BANK - address % _BANK)
        yield _line(address % _BANK, _DATA, image[at : at + count])
        at += count
    yield _line(0, _END, b"")

"""UF2, the file that a USB boot drive takes: blocks of 512 bytes that each say where they belong.

Format: github.com/microsoft/uf2; the RP2040's family and its 256-byte payloads: RP2040 datasheet,
2.8.4.2. A block that is not written whole is not flashed, so the file may arrive in any order.
"""

import struct
from collections.abc import Iterator

from edgeq.errors import BadInput

MAGIC_FIRST, MAGIC_SECOND, MAGIC_LAST = 0x0A324655, 0x9E5D5157, 0x0AB16F30
FAMILY_PRESENT = 0x2000
BLOCK_BYTES = 512
PAYLOAD_BYTES = 256
ADDRESSES = 1 << 32
_HEADER = struct.Struct("<8I")


def uf2_file(image: bytes, origin: int, family: int) -> bytes:
    """`image`, to be written at `origin`, for chips of `family`; the last block is filled up.

    BadInput where the image ends past the 32 bits that a block has for its address.
    """
    count = -(-len(image) // PAYLOAD_BYTES)
    end = origin + count * PAYLOAD_BYTES
    if not 0 <= origin <= end <= ADDRESSES or not 0 <= family < ADDRESSES:
        raise BadInput(
            f"UF2 has 32 bits for an address and a family: {len(image)} bytes at {origin:#x}, "
            f"written in blocks of {PAYLOAD_BYTES}, end at {end:#x}, the family is {family:#x}; "
            "correct the board file"
        )
    blocks = bytearray()
    for number in range(count):
        start = number * PAYLOAD_BYTES
        header = _HEADER.pack(
            MAGIC_FIRST,
            MAGIC_SECOND,
            FAMILY_PRESENT,
            origin + start,
            PAYLOAD_BYTES,
            number,
            count,
            family,
        )
        payload = image[start : start + PAYLOAD_BYTES].ljust(PAYLOAD_BYTES, b"\xff")
        blocks += (header + payload).ljust(BLOCK_BYTES - 4, b"\0") + struct.pack("<I", MAGIC_LAST)
    return bytes(blocks)


def uf2_blocks(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(address, payload, family) of each block; ValueError for what a boot drive would not take."""
    if len(data) % BLOCK_BYTES:
        raise ValueError(f"{len(data)} bytes are not whole blocks of {BLOCK_BYTES}")
    for start in range(0, len(data), BLOCK_BYTES):
        block = data[start : start + BLOCK_BYTES]
        first, second, flags, address, size, number, count, family = _HEADER.unpack_from(block)
        (last,) = struct.unpack_from("<I", block, BLOCK_BYTES - 4)
        if (first, second, last) != (MAGIC_FIRST, MAGIC_SECOND, MAGIC_LAST):
            raise ValueError(f"block {start // BLOCK_BYTES} lacks a magic number")
        if not flags & FAMILY_PRESENT or size != PAYLOAD_BYTES or number >= count:
            raise ValueError(f"block {start // BLOCK_BYTES} has flags {flags:#x}, {size} bytes")
        yield address, block[_HEADER.size : _HEADER.size + size], family

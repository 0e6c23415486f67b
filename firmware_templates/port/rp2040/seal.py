"""Writes the checksum of the second stage into a linked RP2040 ELF: python3 seal.py firmware.elf

The boot ROM refuses a second stage whose last four bytes are not the CRC32 (polynomial 0x04C11DB7,
start 0xFFFFFFFF, bits neither reflected nor inverted) of the 252 before them (RP2040 datasheet,
2.8.1.3.1). Needs nothing but Python: the Makefile and CMakeLists.txt of an export run it too.
"""

import struct
import sys
from pathlib import Path

SECTION = ".second_stage"
BYTES = 256
SUM_BYTES = 4


def crc32(data: bytes) -> int:
    """The boot ROM's checksum of `data`."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if crc >> 31 else 0)
    return crc


def section(elf: bytes, wanted: str) -> tuple[int, int]:
    """(file offset, size) of a section of a 32-bit little-endian ELF; ValueError without it."""
    if elf[:6] != b"\x7fELF\x01\x01":
        raise ValueError("not a 32-bit little-endian ELF")
    table, entry_bytes, count, names_index = struct.unpack_from("<I10xHHH", elf, 32)
    headers = [struct.unpack_from("<10I", elf, table + i * entry_bytes) for i in range(count)]
    names = headers[names_index][4]
    for header in headers:
        start = names + header[0]
        if elf[start : elf.index(b"\0", start)] == wanted.encode():
            return header[4], header[5]
    raise ValueError(f"no section {wanted}")


def sealed(elf: bytes) -> bytes:
    """`elf` with the checksum in its place."""
    start, size = section(elf, SECTION)
    if size != BYTES:
        raise ValueError(f"{SECTION} has {size} bytes, not {BYTES}")
    at = start + BYTES - SUM_BYTES
    return elf[:at] + struct.pack("<I", crc32(elf[start:at])) + elf[at + SUM_BYTES :]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    path = Path(sys.argv[1])
    try:
        path.write_bytes(sealed(path.read_bytes()))
    except (OSError, ValueError, struct.error) as error:
        sys.exit(f"{path}: {error}")

"""The boot ROM of RP2040, as far as a flash boot goes (datasheet, 2.8.1)."""

from edgeq.errors import BadInput
from edgeq.sim.bus import Bus

SECOND_STAGE_BYTES = 256
SUM_BYTES = 4
COPIED_TO = 0x20041F00
STACK = 0x20041F00  # grows down from the copy


def checksum(data: bytes) -> int:
    """CRC-32 with polynomial 0x04C11DB7, start 0xFFFFFFFF, not reflected (2.8.1.3.1).

    >>> f"{checksum(b'123456789'):08x}"
    '0376e6e7'
    """
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if crc >> 31 else crc << 1
    return crc


def start(bus: Bus) -> tuple[int, int]:
    """Copies the second stage to the end of RAM; (stack pointer, entry). BadInput if it is wrong.

    Real silicon would show its USB boot drive instead of starting the firmware.
    """
    stage = bus.read(bus.config.flash_origin, SECOND_STAGE_BYTES)
    code, held = stage[:-SUM_BYTES], int.from_bytes(stage[-SUM_BYTES:], "little")
    right = checksum(code)
    if held != right:
        raise BadInput(
            f"the boot ROM of {bus.config.name} refuses this firmware: the checksum of its second "
            f"stage is 0x{held:08x}, its bytes give 0x{right:08x}; `edgeq flash` and the Makefile "
            "write it after the link (port/rp2040/seal.py)"
        )
    bus.write(COPIED_TO, stage)
    return STACK, COPIED_TO

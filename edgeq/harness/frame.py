"""Binary frames on the serial line: byte stuffing and CRC-32. The format is in docs/protocol.md.

The device side is firmware_templates/runtime/frame.c.
"""

import struct
import zlib
from dataclasses import dataclass

DELIMITER = 0x7E
ESCAPE = 0x7D
RESERVED = frozenset(b"%\r\n\x11\x13")  # text commands, line ends, software flow control
PAYLOAD_BYTES = 64
_MOST_WIRE_BYTES = 2 * (4 + PAYLOAD_BYTES + 4)
_STUFFING = {byte: bytes((ESCAPE, byte ^ 0x20)) for byte in (DELIMITER, ESCAPE, *RESERVED)}


@dataclass(frozen=True)
class Frame:
    """One message: `type` 0..255, `seq` 0..65535, `payload` of at most 64 bytes."""

    type: int
    seq: int
    payload: bytes


def encode(frame: Frame) -> bytes:
    """Bytes on the wire, delimiters included. Raises ValueError when the payload is too long."""
    if len(frame.payload) > PAYLOAD_BYTES:
        raise ValueError(f"payload has {len(frame.payload)} bytes, at most {PAYLOAD_BYTES} fit")
    body = struct.pack("<BHB", frame.type, frame.seq, len(frame.payload)) + frame.payload
    body += struct.pack("<I", zlib.crc32(body))
    stuffed = b"".join(_STUFFING.get(byte) or bytes((byte,)) for byte in body)
    return b"\x7e" + stuffed + b"\x7e"


def decode(chunk: bytes) -> Frame | None:
    """The frame between two delimiters, or None when it is damaged or no frame."""
    if not RESERVED.isdisjoint(chunk) or len(chunk) > _MOST_WIRE_BYTES:
        return None
    first, *escaped = chunk.split(b"\x7d")
    if not all(escaped):  # an escape at the end, or two in a row
        return None
    body = first + b"".join(bytes((part[0] ^ 0x20,)) + part[1:] for part in escaped)
    if len(body) < 8 or len(body) != 8 + body[3]:
        return None
    if zlib.crc32(body[:-4]) != int.from_bytes(body[-4:], "little"):
        return None
    return Frame(body[0], int.from_bytes(body[1:3], "little"), body[4:-4])


class Decoder:
    """Cuts frames out of a byte stream that may hold text and noise as well."""

    def __init__(self) -> None:
        self.damaged = 0  # chunks between delimiters that were neither frame nor text
        self.outside = b""  # the last bytes seen outside of frames, for error messages
        self._open = b""

    def feed(self, data: bytes) -> list[Frame]:
        """Frames completed by `data`, in order."""
        *chunks, self._open = (self._open + data).split(b"\x7e")
        frames = []
        for chunk in chunks:
            frame = decode(chunk) if chunk else None
            if frame is not None:
                frames.append(frame)
            elif chunk:
                self._reject(chunk)
        if len(self._open) > 4 * _MOST_WIRE_BYTES:  # no frame is that long: text, or noise
            self._reject(self._open)
            self._open = b""
        return frames

    def tail(self, most: int = 48) -> bytes:
        """The last bytes that were no frame, those after the last delimiter included."""
        return (self.outside + self._open)[-most:]

    def _reject(self, chunk: bytes) -> None:
        if RESERVED.isdisjoint(chunk):
            self.damaged += 1
        self.outside = (self.outside + chunk)[-256:]

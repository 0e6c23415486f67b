"""Codes of 4 bits two a byte, the low nibble first, as ONNX and TensorFlow Lite pack them."""

import numpy as np

from edgeq.ops.op import Array


def pack_int4(codes: Array) -> bytes:
    """Codes in [-8, 7], row by row; an odd last nibble is 0."""
    nibbles = codes.astype(np.int8).ravel().view(np.uint8) & 0x0F
    if nibbles.size % 2:
        nibbles = np.append(nibbles, np.uint8(0))
    return (nibbles[0::2] | (nibbles[1::2] << 4)).astype(np.uint8).tobytes()


def unpack_int4(raw: bytes | Array, count: int) -> Array:
    """The codes (count,) int8. Raises ValueError for another number of bytes."""
    packed = np.frombuffer(raw, np.uint8)
    if len(packed) != -(-count // 2):
        raise ValueError(f"{count} int4 codes in {len(packed)} bytes")
    nibbles = np.stack([packed & 15, packed >> 4], axis=-1).reshape(-1)[:count]
    return np.asarray((nibbles.astype(np.int8) ^ 8) - 8)

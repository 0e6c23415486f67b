"""Convolution weights for ARMv6-M: four output channels a block, for the patches of two pixels.

The layout is that of firmware_templates/kernels/edgeq_conv_2d_v6m.h.
"""

from dataclasses import replace

import numpy as np

from edgeq.kernels.streams.lanes import ACTIVATION_OFFSET, LANES, ROWS
from edgeq.kernels.streams.stream import Stream
from edgeq.ops.op import Array

TURNS = {"s8": 4, "s4": 4, "t2": 8}  # columns
_NARROW = {token: replace(LANES[token], turn=TURNS[token]) for token in ("s4", "t2")}


def scratch_bytes(token: str, weight_shape: tuple[int, ...]) -> int:
    """Two patches of bytes, in whole turns."""
    columns, turn = int(np.prod(weight_shape[1:])), TURNS[token]
    return 2 * turn * -(-columns // turn)


def _conv_s8(weight: Array) -> Array:
    rows = weight.reshape(len(weight), -1).astype(np.int64)
    grown = np.pad(rows, [(0, -len(rows) % ROWS), (0, -rows.shape[1] % TURNS["s8"])])
    fours = grown.reshape(-1, 2, 2, grown.shape[1])
    halves = fours[:, :, 0] + 256 * fours[:, :, 1] & 0xFFFF
    return np.asarray(halves[:, 0] | halves[:, 1] << 16).astype(np.uint32).ravel()


def _conv_s4(weight: Array) -> Array:
    return _NARROW["s4"].pack(weight.reshape(len(weight), -1))


def _conv_t2(weight: Array) -> Array:
    return _NARROW["t2"].pack(weight.reshape(len(weight), -1))


CONV_S8 = Stream(_conv_s8, ACTIVATION_OFFSET)
CONV_S4 = Stream(_conv_s4, ACTIVATION_OFFSET)
CONV_T2 = Stream(_conv_t2, ACTIVATION_OFFSET)
STREAMS = {"s8": CONV_S8, "s4": CONV_S4, "t2": CONV_T2}

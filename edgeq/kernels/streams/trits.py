"""Ternary weights, five to a byte (1.6 bits each), as indices into tables of 243 partial sums.

The layout is that of firmware_templates/kernels/edgeq_fully_connected_s8_t5.c.
"""

import numpy as np

from edgeq.kernels.streams.stream import Stream
from edgeq.ops.op import Array

STRIDES = (1, 3, 9, 28, 84)  # of the digits; 28 and 84 let tables grow by whole words
TRITS, TABLES, QUAD = len(STRIDES), 8, 4  # columns of a table, tables of a block, rows of a turn
BLOCK = TRITS * TABLES  # columns
TABLE_BYTES = 512


def pack(weight: Array) -> Array:
    """FullyConnected weight (outputs, inputs) of -1, 0, 1 to words: (block, row, two words)."""
    outputs, inputs = weight.shape
    rows, blocks = -(-outputs // QUAD) * QUAD, -(-inputs // BLOCK)
    digits = np.ones((rows, blocks * BLOCK), np.int64)  # a digit of 1 is a weight of 0
    digits[:outputs, :inputs] = weight + 1
    index = digits.reshape(rows, blocks, TABLES, TRITS) @ np.array(STRIDES)
    return np.ascontiguousarray(index.astype(np.uint8).swapaxes(0, 1)).view("<u4").ravel()


def saved_bytes(inputs: int, outputs: int) -> int:
    """What the stream is shorter than rows at two bits a weight; padding may make it longer."""
    rows, blocks = -(-outputs // QUAD) * QUAD, -(-inputs // BLOCK)
    return outputs * 4 * -(-inputs // 16) - rows * blocks * TABLES


def scratch_bytes(inputs: int, outputs: int) -> int:
    """The tables of a block, and an accumulator a row."""
    return TABLES * TABLE_BYTES + 4 * -(-outputs // QUAD) * QUAD


T5 = Stream(pack)

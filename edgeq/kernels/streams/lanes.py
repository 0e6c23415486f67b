"""Weights for ARMv6-M: two rows in the halves of a word, so that one multiply serves both.

The layout is that of firmware_templates/kernels/edgeq_fully_connected_v6m.h.
"""

from dataclasses import dataclass

import numpy as np

from edgeq.kernels.streams.stream import Stream
from edgeq.ops.op import Array

ROWS = 4
ACTIVATION_OFFSET = 128


@dataclass(frozen=True)
class Lanes:
    """w = step * code + offset, `bits` a code; columns are padded to whole turns."""

    bits: int
    columns: int  # of a word
    turn: int
    step: int = 1
    offset: int = 0

    def pack(self, weight: Array) -> Array:
        """FullyConnected weight (outputs, inputs) to words, padded to four rows and whole turns."""
        rows, columns = weight.shape
        groups, words = -(-rows // ROWS), self._padded(columns) // self.columns
        codes = np.zeros((groups * ROWS, words * self.columns), np.int64)
        codes[:rows, :columns] = (weight.astype(np.int64) - self.offset) // self.step
        codes &= (1 << self.bits) - 1
        lanes = 1 if self.columns == 1 else 2  # a word is one column of four rows, or two rows
        shape = (groups, lanes, ROWS // lanes, words, self.columns)
        place = np.arange(ROWS // lanes)[:, None] * (32 // (ROWS // lanes))
        place = place + np.arange(self.columns) * self.bits
        packed = (codes.reshape(shape) << place[:, None, :]).sum(axis=(2, 4))
        return np.ascontiguousarray(packed.swapaxes(1, 2).astype(np.uint32).ravel())

    def scratch_bytes(self, inputs: int) -> int:
        """A byte an activation."""
        return self._padded(inputs)

    def _padded(self, columns: int) -> int:
        return -(-columns // self.turn) * self.turn


LANES = {
    "s8": Lanes(bits=8, columns=1, turn=8),
    "s4": Lanes(bits=4, columns=4, turn=8, offset=-8),
    "s3": Lanes(bits=3, columns=5, turn=10, offset=-3),
    "s2": Lanes(bits=2, columns=8, turn=8, step=2, offset=-3),
    "t2": Lanes(bits=2, columns=8, turn=8, offset=-1),
    "b1": Lanes(bits=1, columns=16, turn=16, step=2, offset=-1),
}
STREAMS = {
    token: Stream(lanes.pack, ACTIVATION_OFFSET, minus_128=True) for token, lanes in LANES.items()
}

"""Weight formats at their true width. Layouts: firmware_templates/kernels/edgeq_kernels.h.

Every row starts on a 4-byte word; the first weight sits in the lowest bits of the first byte.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeq.errors import BadInput
from edgeq.ops import OPS
from edgeq.ops.op import STORED_RANGE, Array

WORD = 4  # bytes


@dataclass(frozen=True)
class Packing:
    """One token: a weight w is stored as the unsigned code (w + offset) / step in `bits` bits.

    `group` codes fill a whole number of bytes, so that a kernel can read a row group by group.
    """

    token: str
    bits: int
    group: int
    offset: int = 0
    step: int = 1

    def row_bytes(self, columns: int) -> int:
        """Bytes of one row of `columns` weights, padded to a word."""
        groups = -(-columns // self.group)
        return -(-groups * self.group * self.bits // (8 * WORD)) * WORD

    def pack(self, weights: Array) -> bytes:
        """Integer weights (rows, columns) as bytes, row after row.

        Raises BadInput for weights that the format cannot hold, and for another rank.
        """
        self._check(weights)
        rows, columns = weights.shape
        codes = ((weights.astype(np.int64) + self.offset) // self.step) & ((1 << self.bits) - 1)
        bits = (codes[:, :, None] >> np.arange(self.bits)) & 1
        padded = np.zeros((rows, self.row_bytes(columns) * 8), dtype=bool)
        padded[:, : columns * self.bits] = bits.reshape(rows, columns * self.bits)
        return np.packbits(padded, axis=1, bitorder="little").tobytes()

    def unpack(self, data: bytes, rows: int, columns: int) -> Array:
        """The weights again, int16 for s16 and int8 for every other format: (rows, columns).

        Raises BadInput when `data` does not have rows * row_bytes(columns) bytes.
        """
        wanted = rows * self.row_bytes(columns)
        if len(data) != wanted:
            raise BadInput(
                f"{self.token} weights of {rows} x {columns} take {wanted} B, got {len(data)} B"
            )
        if not data:
            return np.zeros((rows, columns), dtype=self._dtype)
        raw = np.frombuffer(data, dtype=np.uint8).reshape(rows, -1)
        bits = np.unpackbits(raw, axis=1, bitorder="little")[:, : columns * self.bits]
        place = 1 << np.arange(self.bits, dtype=np.int64)
        codes = (bits.reshape(rows, columns, self.bits) * place).sum(axis=2)
        if self.offset == 0:  # two's complement
            codes = codes - ((codes >> (self.bits - 1)) << self.bits)
        return np.asarray((codes * self.step - self.offset).astype(self._dtype))

    @property
    def _dtype(self) -> type[np.int8] | type[np.int16]:
        return np.int16 if self.bits == 16 else np.int8

    def _check(self, weights: Array) -> None:
        if weights.ndim != 2 or not np.issubdtype(weights.dtype, np.integer):
            raise BadInput(
                f"{self.token} packs integer weights of two axes, "
                f"got {weights.dtype} of shape {weights.shape}"
            )
        low, high = STORED_RANGE[self.token]
        wide = weights.astype(np.int64)
        wrong = (wide < low) | (wide > high) | ((wide + self.offset) % self.step != 0)
        if wrong.any():
            row, column = (int(i[0]) for i in np.nonzero(wrong))
            levels = f"{low}..{high}" + (f" in steps of {self.step}" if self.step > 1 else "")
            raise BadInput(
                f"{self.token} holds {levels}; weight [{row}, {column}] is {wide[row, column]} "
                f"({int(wrong.sum())} of {wide.size} do not fit); quantise the layer again"
            )


PACKINGS: Mapping[str, Packing] = {
    p.token: p
    for p in (
        Packing("s16", bits=16, group=1),
        Packing("s8", bits=8, group=1),
        Packing("s4", bits=4, group=2),
        Packing("s3", bits=3, group=8, offset=3),
        Packing("s2", bits=2, group=4, offset=3, step=2),
        Packing("t2", bits=2, group=4, offset=1),
        Packing("b1", bits=1, group=8, offset=1, step=2),
    )
}


def weight_rows(op: str, weight: Array) -> Array:
    """A weight constant as the packed rows of its kernel, (rows, columns).

    Where outputs are the first axis, as in FullyConnected (out, in) and Conv2D (out, kh, kw, in),
    a row an output; where they are the last, as in DepthwiseConv2D (kh, kw, channels), a row a tap.
    """
    if OPS[op].weight_axis == 0:
        return weight.reshape(weight.shape[0], -1)
    return weight.reshape(-1, weight.shape[-1])


def pack_masks(masks: Array) -> bytes:
    """Dropout keep masks (passes, inputs) of 0 and 1: (inputs + 7) // 8 bytes a pass.

    Input i is bit i & 7 of byte i >> 3. Raises BadInput for any other value or rank.
    """
    if masks.ndim != 2 or not np.isin(masks, (0, 1)).all():
        raise BadInput(f"masks are 0 or 1 of shape (passes, inputs), got shape {masks.shape}")
    return np.packbits(masks.astype(np.uint8), axis=1, bitorder="little").tobytes()

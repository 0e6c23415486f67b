"""FullyConnected weights of 3 to 16 bits: rows in groups, a few words for each column pair.

The sources edgeq_fully_connected_s8_*_dsp.c draw the words.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from edgeq.kernels.streams.stream import Stream
from edgeq.ops.op import Array

BLOCK = 8  # columns that a kernel takes at a time
NEAR = range(-12, -1)  # shifts that one multiply rounds, whatever the sum


@dataclass(frozen=True)
class RowGroups:
    """`half` makes the 16-bit halves of (groups, lanes, columns) weights: (groups, columns)."""

    lanes: int  # rows in one half
    wide: int  # rows of a group, multiples of lanes
    narrow: int
    half: Callable[[Array], Array]

    def pack(self, weight: Array) -> Array:
        """(outputs, inputs) to the words of all wide groups, then of the narrow ones."""
        outputs, inputs = weight.shape
        split = outputs // self.wide * self.wide
        columns = _padded(inputs)
        parts = [
            self._words(weight[:split], self.wide, columns),
            self._words(weight[split:], self.narrow, columns),
        ]
        return np.concatenate(parts)

    def _words(self, weight: Array, rows: int, columns: int) -> Array:
        groups = -(-weight.shape[0] // rows)
        padded = np.zeros((groups * rows, columns), dtype=np.int32)
        padded[: weight.shape[0], : weight.shape[1]] = weight
        halves = self.half(padded.reshape(-1, self.lanes, columns)).astype(np.uint16)
        # columns 0 2 1 3 of every four: the order in which SXTB16 spreads a word of activations
        pairs = halves.reshape(groups, rows // self.lanes, columns // 4, 2, 2)
        words = np.ascontiguousarray(pairs.transpose(0, 2, 4, 1, 3))
        return words.reshape(-1).view("<u4").astype(np.uint32)


def _padded(columns: int) -> int:
    return -(-columns // BLOCK) * BLOCK


def parameters(wide: int, most_norm: int = 2**31) -> Callable[[Array, Array, Array, Array], Array]:
    """The int32 words that stand in the bias's place. The first: 1 if a shift is not of NEAR, and 2
    if a row's sum of |w| is above `most_norm`. Then of each `wide` rows, at last of those left, the
    doubled biases, multipliers and divisors, 2^(32 + shift) + 1.
    """

    def table(bias: Array, multiplier: Array, shift: Array, norms: Array) -> Array:
        right = np.where(multiplier == 0, NEAR[0], shift).astype(np.int64)
        far, long = not np.isin(right, NEAR).all(), (norms > most_norm).any()
        parts = [np.array([far + 2 * int(long)])]
        for first in range(0, len(right), wide):
            rows = slice(first, first + wide)
            parts += [
                2 * bias[rows].astype(np.int64),
                multiplier[rows],
                (1 << 32 + right[rows]) + 1,
            ]
        return (np.concatenate(parts) & 0xFFFFFFFF).astype(np.uint32).view(np.int32)

    return table


def scratch_bytes(inputs: int, outputs: int) -> int:
    """Bytes of scratch of each of these kernels: the activations as 16-bit halves."""
    return 2 * _padded(inputs)


def _digits(weight: Array, bits: int, offset: int) -> Array:
    """Row by row `bits` higher; all but the last row of a half as w + offset."""
    lanes = weight.shape[1]
    half = weight[:, -1] << (bits * (lanes - 1))
    for lane in range(lanes - 1):
        half = half | ((weight[:, lane] + offset) << (bits * lane))
    return np.asarray(half)


def _s8_half(weight: Array) -> Array:
    return np.asarray(weight[:, 0] + (weight[:, 1] << 8))


def _s4_half(weight: Array) -> Array:
    return _digits(weight, 4, 8)


def _s3_half(weight: Array) -> Array:
    return _digits(weight, 3, 3)


def _s16_half(weight: Array) -> Array:
    return np.asarray(weight[:, 0])


_S8 = RowGroups(lanes=2, wide=6, narrow=2, half=_s8_half)
S8 = Stream(_S8.pack, table=parameters(_S8.wide, 2**23 // 128 - 1))
_S4 = RowGroups(lanes=4, wide=8, narrow=4, half=_s4_half)
S4 = Stream(_S4.pack, table=parameters(_S4.wide))
S4_WHOLE = replace(S4, most_norm=2**19 // 128 - 1)
S3 = Stream(RowGroups(lanes=5, wide=5, narrow=5, half=_s3_half).pack)
S16 = Stream(RowGroups(lanes=1, wide=6, narrow=2, half=_s16_half).pack, reach=2**31 - 2**8)

"""FullyConnected weights with a scale a block for the DSP core: eight rows, block by block.

The layouts are those of firmware_templates/kernels/edgeq_block_fully_connected_s8_*_dsp.c.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeq.kernels.streams.convolutions import four_rows_s4
from edgeq.kernels.streams.stream import Stream
from edgeq.kernels.streams.two_rows import ternary_steps
from edgeq.ops.op import Array

ROWS, COLUMNS = 8, 32  # a group, and what columns are padded to


@dataclass(frozen=True)
class BlockRows:
    """words: of padded rows (8 groups, columns) the uint32 (groups, columns / 8, words of a step).
    scales: of weights (groups, 8, columns of a block) and their scales (groups, 8) the weights to
    store and the uint32 (groups, words) behind them. most: columns of a block of the stream.
    starts: words of scratch before a block.
    """

    words: Callable[[Array], Array]
    scales: Callable[[Array, Array], tuple[Array, Array]]
    most: int
    starts: int

    def pack(self, weight: Array, block_scale: Array, block: int) -> Array:
        """(outputs, inputs), (outputs, blocks) to the words of all groups."""
        outputs, inputs = weight.shape
        groups, columns = -(-outputs // ROWS), -(-inputs // COLUMNS) * COLUMNS
        rows = np.zeros((groups, ROWS, columns), np.int64)
        rows.reshape(-1, columns)[:outputs, :inputs] = weight
        scales = np.zeros((groups, ROWS, block_scale.shape[1]), np.int64)
        scales.reshape(-1, block_scale.shape[1])[:outputs] = block_scale
        parts, step = [], min(block, self.most)
        for at in range(0, columns, step):
            stored, behind = self.scales(rows[:, :, at : at + step], scales[:, :, at // block])
            words = self.words(stored.reshape(groups * ROWS, -1))
            parts += [words.reshape(groups, -1), behind]
        return np.concatenate(parts, 1).astype(np.uint32).reshape(-1)

    def scratch_bytes(self, inputs: int, block: int) -> int:
        """The activations as halves, and the words before their blocks."""
        columns = -(-inputs // COLUMNS) * COLUMNS
        return 2 * columns + 4 * self.starts * -(-columns // min(block, self.most))


def _bytes(weight: Array, scale: Array) -> tuple[Array, Array]:
    """A byte of scale a row."""
    return weight, (scale.reshape(-1, 2, 4) << 8 * np.arange(4)).sum(2)


def turned(weight: Array, scale: Array) -> tuple[Array, Array]:
    """Blocks of rows (groups, rows, columns) and their scales (groups, rows); a row of nothing but
    -1 turns round with its scale, as its sum could be 2^13.
    """
    low = (weight == -1).all(2)
    return np.where(low[:, :, None], -weight, weight), np.where(low, -scale, scale)


def _halves(weight: Array, scale: Array) -> tuple[Array, Array]:
    """A signed half a row."""
    stored, scales = turned(weight, scale)
    signed = scales.reshape(-1, 4, 2) & 0xFFFF
    return stored, signed[:, :, 0] | signed[:, :, 1] << 16


_S4 = BlockRows(four_rows_s4, _bytes, most=128, starts=2)
_T2 = BlockRows(ternary_steps, _halves, most=64, starts=1)
S4, T2 = Stream(_S4.pack), Stream(_T2.pack)
SCRATCH = {"s4": _S4.scratch_bytes, "t2": _T2.scratch_bytes}

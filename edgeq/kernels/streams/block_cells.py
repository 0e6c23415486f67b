"""1x1 convolutions with a scale a block for the DSP core: four rows with two cells.

The layouts are those of firmware_templates/kernels/edgeq_block_fully_connected_s8_*_cells_dsp.c.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edgeq.kernels.streams.block_rows import turned
from edgeq.kernels.streams.convolutions import MOST_SHIFT, ROWS, four_rows_s4, parameters
from edgeq.kernels.streams.stream import Stream
from edgeq.kernels.streams.two_rows import ternary_steps
from edgeq.ops.op import Array

STRIP_WORDS = 512
CELLS, COLUMNS = 2, 4  # what a layer needs: some, and whole fours


@dataclass(frozen=True)
class BlockCells:
    """words: of a block's padded rows (8 eights, columns) the uint32 (eights, steps, words of a
    step), those of rows 0 to 3 before those of rows 4 to 7.
    scales: of weights (fours, 4, columns of a block) and their scales (fours, 4) the weights to
    store and the uint32 (fours, words) behind them. group: what columns are padded to.
    most: columns of a block of the stream. head: words of scratch before a block.
    """

    words: Callable[[Array], Array]
    scales: Callable[[Array, Array], tuple[Array, Array]]
    group: int
    most: int
    head: int

    def pack(self, weight: Array, block_scale: Array, block: int) -> Array:
        """(outputs, inputs), (outputs, blocks) to the words of all fours, without parameters."""
        fours = -(-weight.shape[0] // ROWS)
        rows, scales = (_filled(part, 2 * -(-fours // 2)) for part in (weight, block_scale))
        parts: list[Array] = []
        for at, columns in self._blocks(weight.shape[1], block):
            part = rows[:, :, at : at + columns]
            part = np.pad(part, [(0, 0), (0, 0), (0, -columns % self.group)])
            stored, behind = self.scales(part, scales[:, :, at // block])
            words = self.words(stored.reshape(-1, part.shape[2]))
            halves = words.reshape(*words.shape[:2], 2, -1).transpose(0, 2, 1, 3)
            parts += [halves.reshape(len(part), -1), behind]
        return np.concatenate(parts, 1)[:fours].astype(np.uint32).reshape(-1)

    def scratch_bytes(self, inputs: int, block: int, cells: int) -> int:
        """Activations of pairs of cells as halves, and the heads before their blocks."""
        blocks = self._blocks(inputs, block)
        words = sum(self.head + columns + -columns % self.group for _, columns in blocks)
        return 4 * words * max(1, min(-(-cells // 2), STRIP_WORDS // words))

    def _blocks(self, inputs: int, block: int) -> Iterator[tuple[int, int]]:
        """(first column, columns) of each block of the stream."""
        step = min(block, self.most)
        yield from ((at, min(step, inputs - at)) for at in range(0, inputs, step))


def _filled(rows: Array, fours: int) -> Array:
    """Rows (rows, columns) with rows of zeros as int64 (fours, 4, columns)."""
    grown = np.pad(rows.astype(np.int64), [(0, fours * ROWS - rows.shape[0]), (0, 0)])
    return grown.reshape(fours, ROWS, -1)


def _bytes(weight: Array, scale: Array) -> tuple[Array, Array]:
    """A byte of scale a row."""
    return weight, (scale << 8 * np.arange(ROWS)).sum(1, keepdims=True)


def _halves(weight: Array, scale: Array) -> tuple[Array, Array]:
    """A signed half a row, four times the scale in every second."""
    stored, signed = turned(weight, scale)
    both = (signed * np.array([1, 4, 1, 4])).reshape(-1, 2, 2) & 0xFFFF
    return stored, both[:, :, 0] | both[:, :, 1] << 16


_S4 = BlockCells(four_rows_s4, _bytes, group=4, most=128, head=6)
_T2 = BlockCells(ternary_steps, _halves, group=8, most=64, head=4)
_PARAMETERS = parameters(range(-31, -1), more=0)
S4, T2 = (Stream(b.pack, join=_PARAMETERS, most_shift=MOST_SHIFT) for b in (_S4, _T2))
SCRATCH = {"s4": _S4.scratch_bytes, "t2": _T2.scratch_bytes}

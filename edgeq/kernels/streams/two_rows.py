"""Weights of one or two bits for the DSP core: two rows in a half, read by rotating and masking.

The layout is that of firmware_templates/kernels/edgeq_narrow_dsp.h and the sources that include it.
"""

from dataclasses import dataclass, replace

import numpy as np

from edgeq.kernels.streams.stream import Stream
from edgeq.ops.op import Array

STEP = 8  # columns
QUAD = 4  # rows; two of them are a run
LOW, HIGH = (0, 1, 4, 5), (2, 3, 6, 7)  # columns of the halves of a step's four activation words


@dataclass(frozen=True)
class TwoRows:
    """w = scale * code + a in the first row of a pair, scale * code + b in the second.

    block: columns that one accumulator takes, a bound that the C source proves.
    block_words: of scratch, besides the activations.
    """

    bits: int
    scale: int
    a: int
    b: int
    block: int
    block_words: int = 1

    def pack(self, weight: Array) -> Array:
        """FullyConnected weight (outputs, inputs) to words, padded to whole quads and steps."""
        rows, columns = weight.shape
        quads, steps = -(-rows // QUAD), -(-columns // STEP)
        offset = np.where(np.arange(rows) % 2 == 0, self.a, self.b)[:, None]
        codes = ((weight - offset) // self.scale) & ((1 << self.bits) - 1)
        padded = np.zeros((quads * QUAD, steps * STEP), np.uint32)
        padded[:rows, :columns] = codes
        words = self._words(padded.reshape(quads, 2, 2, steps, STEP))
        runs = words[: quads // 2 * 2].reshape(quads // 2, 2, steps, self.bits).swapaxes(1, 2)
        return np.concatenate([runs.ravel(), words[quads // 2 * 2 :].ravel()])

    def _words(self, codes: Array) -> Array:
        """(quad, pair, row of the pair, step, column) to (quad, step, words of a quad)."""
        quads, pairs, _, steps, _ = codes.shape
        top = 16 - self.bits
        words = np.zeros((quads, steps, self.bits), np.uint32)  # 32 * bits bits of codes a quad
        for pair in range(pairs):
            to = words[:, :, pair * self.bits // 2]
            for k in range(len(LOW)):
                rotation = 4 * k + (2 * pair if self.bits == 1 else 0)
                for place, column in ((0, LOW[k]), (16, HIGH[k])):
                    to |= codes[:, pair, 0, :, column] << np.uint32(place + rotation)
                    at = (place + top + rotation) % 32
                    to |= codes[:, pair, 1, :, column] << np.uint32(at)
        return words

    def scratch_bytes(self, inputs: int) -> int:
        """Activations as halves, and the words of each block."""
        columns = -(-inputs // STEP) * STEP
        return 2 * columns + 4 * self.block_words * -(-columns // self.block)


def ternary_steps(rows: Array) -> Array:
    """Of ternary rows in eights (rows, columns) the words of each step: (eights, steps, 4)."""
    words = _T2.pack(rows)
    return words.reshape(rows.shape[0] // 8, -1, 4)


_T2 = TwoRows(bits=2, scale=1, a=-1, b=0, block=64, block_words=2)
_T2_WHOLE = TwoRows(bits=2, scale=1, a=-1, b=0, block=1920)
_S2 = TwoRows(bits=2, scale=2, a=-3, b=1, block=40)
_B1 = TwoRows(bits=1, scale=2, a=-1, b=1, block=240)

T2, S2, B1 = (Stream(rows.pack, most_shift=30, six_bits=True) for rows in (_T2, _S2, _B1))
T2_WHOLE = replace(T2, most_norm=2**13 // 128 - 1)


def scratch_bytes_t2(inputs: int, outputs: int) -> int:
    return _T2.scratch_bytes(inputs)


def scratch_bytes_t2_whole(inputs: int, outputs: int) -> int:
    return _T2_WHOLE.scratch_bytes(inputs)


def scratch_bytes_s2(inputs: int, outputs: int) -> int:
    return _S2.scratch_bytes(inputs)


def scratch_bytes_b1(inputs: int, outputs: int) -> int:
    return _B1.scratch_bytes(inputs)

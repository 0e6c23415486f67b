"""What a DSP kernel's constants become offline: words in the order that its inner loop reads."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeq.ops.op import Array


@dataclass(frozen=True)
class Stream:
    """The layout of one kernel's weights, and what that layout adds to the bias.

    `pack`: the weight as the graph holds it, FullyConnected (outputs, inputs), Conv2D
    (outputs, kernel height, kernel width, channels), DepthwiseConv2D (height, width, channels),
    integers, to uint32 words; BlockFullyConnected (outputs, inputs) with its block scales and the
    inputs of a block.
    `activation_offset`: 128 when the kernel reads activations as x + 128, else 0; the bias takes
    - (zero point + offset) * sum(w) of its row.
    `join`: puts that bias, the multipliers and the shifts into the words; None when the kernel
    reads them as vectors of their own.
    `table`: of bias, multipliers, shifts and the sum of |w| of each row one array of words, which
    takes the bias's place; None for vectors.
    `least_shift`: what a channel's shift must reach. One below it whose output is constant is
    switched off: multiplier 0 and shift -1 give the same.
    `most_shift`: what no channel's shift may be above; 0 and left shifts are scales of a half and
    more.
    `six_bits`: the kernel tells a layer with a shift above -1 by shifts of six bits, as bytes 0 to
    63; those of other layers are negative.
    `minus_128`: s8 weights may be -128; else rows that share a half-word have no room for it.
    `most_norm`: the largest sum of |w| of a row that keeps the kernel exact, None for any.
    `reach`: what every accumulator stays below, its left shift done. Under 2^30, SMMULR of its
    double and a multiplier is the rounding doubling multiply.
    """

    pack: Callable[..., Array]
    activation_offset: int = 0
    join: Callable[[Array, Array, Array, Array], Array] | None = None
    table: Callable[[Array, Array, Array, Array], Array] | None = None
    least_shift: int = -31
    most_shift: int = -1
    six_bits: bool = False
    minus_128: bool = False
    most_norm: int | None = None
    reach: int = 2**30

    def shifts(self, shift: Array) -> Array:
        """As the kernel reads them: (outputs,)."""
        return shift & 0x3F if self.six_bits and (shift > -1).any() else shift

    def vectors(
        self, bias: Array, multiplier: Array, shift: Array, weight: Array
    ) -> tuple[Array, Array, Array]:
        """Bias, multiplier and shift of a weight (outputs, ...) as the kernel reads them. With a
        table the first is all, and the others have no element.
        """
        if self.table is None:
            return bias, multiplier, self.shifts(shift)
        norms = np.abs(weight.reshape(len(weight), -1).astype(np.int64)).sum(1)
        return self.table(bias, multiplier, shift, norms), multiplier[:0], shift[:0]

    def bias(self, weight_sums: Array, bias: Array, zero_point: int) -> Array:
        """The kernel's int32 bias of each output, wrapped as the core adds: (outputs,)."""
        folded = bias.astype(np.int64) - (zero_point + self.activation_offset) * weight_sums
        return np.asarray((folded & 0xFFFFFFFF).astype(np.uint32).view(np.int32))

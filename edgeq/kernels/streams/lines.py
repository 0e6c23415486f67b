"""Depthwise weights for ARMv6-M: the packed rows, a tap each, and activations as x + 128.

Scratch is divided as firmware_templates/kernels/edgeq_depthwise_v6m.h says.
"""

from functools import partial

import numpy as np

from edgeq.kernels.packing import PACKINGS
from edgeq.kernels.streams.lanes import ACTIVATION_OFFSET
from edgeq.kernels.streams.stream import Stream
from edgeq.ops.op import Array

CHANNELS, TAPS, WORD = 4, 3, 4


def scratch_bytes(
    weight_shape: tuple[int, ...], output_shape: tuple[int, ...], stride: tuple[int, int]
) -> int:
    """Sums of a line, weights and offsets of four channels, lines of the map."""
    axes = list(zip(weight_shape[:2], output_shape[:2], stride, strict=True))
    if axes[1][1] < axes[0][1]:
        axes.reverse()
    (lines, _, _), (kernel, outputs, step) = axes
    threes = -(-kernel // TAPS)
    count = TAPS * -(-outputs // TAPS) if step == 1 else outputs
    cells = (count - 1) * step + TAPS * threes
    return WORD * (count + lines * (threes * (CHANNELS * TAPS + 1) + cells))


def _pack(token: str, weight: Array) -> Array:
    rows = weight.reshape(-1, weight.shape[-1])
    return np.frombuffer(PACKINGS[token].pack(rows), "<u4").astype(np.uint32)


S8, S4 = (
    Stream(partial(_pack, token), ACTIVATION_OFFSET, minus_128=True) for token in ("s8", "s4")
)
STREAMS = {"s8": S8, "s4": S4}

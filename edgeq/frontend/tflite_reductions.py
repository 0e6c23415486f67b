"""Readers of MEAN, SUM, REDUCE_MAX and REDUCE_MIN over axes that follow one another."""

import math
from collections.abc import Mapping

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.tflite_file import Operator
from edgeq.frontend.tflite_graph import Growing, quant_of_tensor
from edgeq.frontend.tflite_shapes import Reader, batched, numbers
from edgeq.ir import Quant
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.fixed_point import quantize_multiplier
from edgeq.ops.functions import Neg
from edgeq.ops.max_pool_2d import MaxPool2D

MOST_CELLS = 1 << 16  # of a sum: far above any device's map


def _lying(g: Growing, op: Operator) -> tuple[str, int]:
    """(the input as a map of rows, reduced cells and channels; how many cells)."""
    shape, axes = batched(g.operand(op, 0)), numbers(g, op, 1)
    found = sorted({(a + len(shape) + 1 if a < 0 else a) - 1 for a in axes})
    if not found or found[0] < 0 or found[-1] >= len(shape):
        raise Refused(f"it reduces axes {axes[:8]} of {[1, *shape]}")
    if found != list(range(found[0], found[-1] + 1)):
        raise Refused(f"it reduces axes {axes[:8]}, which do not follow one another")
    cells = math.prod(shape[found[0] : found[-1] + 1])
    if cells > MOST_CELLS:
        raise Refused(f"it reduces {cells:,} cells; {MOST_CELLS:,} are taken")
    rows, channels = math.prod(shape[: found[0]]), math.prod(shape[found[-1] + 1 :])
    return g.reshaped(op, g.value(op, 0), (rows, cells, channels), "cells"), cells


def _sum(g: Growing, op: Operator) -> None:
    """The sum of centred codes by one multiplier; that of a mean has the count in it, as TensorFlow
    Lite Micro divides it: cut, after a shift that keeps its bits.
    """
    source, cells = _lying(g, op)
    given, made = (quant_of_tensor(t) for t in (g.operand(op, 0), g.output(op)))
    multiplier, shift = quantize_multiplier(given.per_tensor / made.per_tensor)
    if op.op == "MEAN":
        more = min(cells.bit_length() - 1, 32, 31 + shift)
        multiplier, shift = (multiplier << more) // cells, shift - more
    values = {"multiplier": np.array([multiplier], np.int32), "shift": np.array([shift], np.int32)}
    attrs = AveragePool2D((1, cells), (1, 1))
    g.add(op, "AveragePool2D", attrs, (source,), g.constants(op, values, {}))


def _largest(g: Growing, op: Operator) -> None:
    source, cells = _lying(g, op)
    g.same_scale(op)
    g.add(op, "MaxPool2D", MaxPool2D((1, cells), (1, 1), (0, 0, 0, 0)), (source,))


def _least(g: Growing, op: Operator) -> None:
    """The largest of what is negated; a zero point of -1 - z turns each code around exactly."""
    source, cells = _lying(g, op)
    g.same_scale(op)
    quant = quant_of_tensor(g.operand(op, 0))
    turned = Quant(quant.scale, -1 - quant.zero_point)
    source = g.between(op, "Neg", Neg(), source, "turned", turned)
    pool = MaxPool2D((1, cells), (1, 1), (0, 0, 0, 0))
    g.add(op, "Neg", Neg(), (g.between(op, "MaxPool2D", pool, source, "largest"),))


REDUCTION_READERS: Mapping[str, Reader] = {
    "MEAN": _sum,
    "SUM": _sum,
    "REDUCE_MAX": _largest,
    "REDUCE_MIN": _least,
}

"""PRELU, to the byte as TensorFlow Lite Micro has it."""

from fractions import Fraction
from math import ceil, floor, frexp

import numpy as np

from edgeq.frontend.tflite_file import Operator
from edgeq.frontend.tflite_graph import Array, Growing, quant_of_tensor
from edgeq.ir import Quant, TensorType
from edgeq.ops.add import Add
from edgeq.ops.broadcast import MulConstant
from edgeq.ops.fixed_point import (
    INT32_MAX,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    requantize,
)
from edgeq.ops.functions import Clip
from edgeq.ops.prelu import PRelu

HALF = 1 << 30  # of a step, in a product's units


def prelu(g: Growing, op: Operator) -> None:
    """There a value below zero is multiplied by its slope's code, then by one multiplier for all.

    A multiplier a slope answers all 256 inputs alike where the slopes are fine; elsewhere both
    sides are computed apart, in the same two steps, and added: one of them is always zero.
    """
    tensor = g.operand(op, 1)
    quants = (quant_of_tensor(g.operand(op, 0)), quant_of_tensor(tensor))
    made = quant_of_tensor(g.output(op))
    codes = np.ascontiguousarray(g.constant(tensor))
    while codes.ndim > 1 and codes.shape[0] == 1:
        codes = codes[0]
    slopes = codes.astype(np.int64) - quants[1].zero_point
    found = {int(a): _answering(int(a), *quants, made) for a in np.unique(slopes)}
    pairs = {code: pair for code, pair in found.items() if pair is not None}
    if len(pairs) < len(found):
        return _of_two_sides(g, op, codes)
    multiplier, shift = (np.vectorize(lambda a, i=i: pairs[a][i])(slopes) for i in (0, 1))
    values: dict[str, Array] = {
        "slope": multiplier.astype(np.int32),
        "shift": shift.astype(np.int8),
        "positive": np.array(_positive(quants[0], made), np.int32),
    }
    return g.add(op, "PRelu", PRelu(), (g.value(op, 0),), g.constants(op, values, {}))


def rectified(given: Quant, made: Quant, pair: tuple[int, int]) -> dict[str, Array]:
    """The table of all 256 codes times (multiplier, shift), held at zero."""
    steps = np.maximum(np.arange(-128, 128, dtype=np.int64) - given.zero_point, 0)
    multiplier, shift = (np.array(n) for n in pair)
    return {"table": requantize(steps, multiplier, shift, made.zero_point, -128, 127)}


def _positive(given: Quant, made: Quant) -> tuple[int, int]:
    return quantize_multiplier(given.per_tensor / made.per_tensor)


def _of_two_sides(g: Growing, op: Operator, codes: Array) -> None:
    given, made = quant_of_tensor(g.operand(op, 0)), quant_of_tensor(g.output(op))
    x, alpha = g.value(op, 0), quant_of_tensor(g.operand(op, 1))
    low, high = ((end - given.zero_point) * given.per_tensor for end in (-128, 127))
    below = g.between(op, "Clip", Clip(low, 0.0), x, "below")
    slope = g.constants(op, {"other": codes}, {"other": TensorType(codes.shape, "int8", alpha)})
    below = g.between(op, "MulConstant", MulConstant(), below, "sloped", made, slope)
    params = g.constants(op, rectified(given, made, _positive(given, made)), {}, "_above")
    above = g.between(op, "Clip", Clip(0.0, max(high, 0.0)), x, "above", made, params)
    g.add(op, "Add", Add(), (above, below))


def _answering(code: int, given: Quant, alpha: Quant, made: Quant) -> tuple[int, int] | None:
    """(multiplier, left shift) of a slope's code; None where none answers alike."""
    real = given.per_tensor * alpha.per_tensor / made.per_tensor
    multiplier, shift = quantize_multiplier(real)
    below = np.arange(-128 - given.zero_point, 0, dtype=np.int64)
    wanted = multiply_by_quantized_multiplier(below * code, np.array(multiplier), np.array(shift))
    wanted = np.clip(wanted, -128 - made.zero_point, 127 - made.zero_point)
    left = max(frexp(abs(code * real))[1], 0)
    least, most = -INT32_MAX, INT32_MAX
    for x, y in zip((below << left).tolist(), wanted.tolist(), strict=True):
        # (x * m + HALF) >> 31 is y: x * m lies in [y * 2^31 - HALF, y * 2^31 + HALF); x < 0
        if y > -128 - made.zero_point:
            most = min(most, floor(Fraction((y << 31) - HALF, x)))
        if y < 127 - made.zero_point:
            least = max(least, floor(Fraction((y << 31) + HALF, x)) + 1)
    if least > most:
        return None
    ideal = Fraction(code) * Fraction(real) * (1 << 31) / (1 << left)
    return min(max(ceil(ideal), least), most), left

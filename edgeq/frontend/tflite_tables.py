"""Readers of functions of one number that the runtimes fill a table for, or could.

RSQRT is TensorFlow Lite Micro's. It has no int8 GELU, EXP, LOG, SQRT, NEG and RELU_N1_TO_1: theirs
are LiteRT's, whose tables are float32 throughout (`LUTPopulate`, and `SqrtEvalQuantized`); NEG has
none and negates codes.
"""

import math
from collections.abc import Callable

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.tflite_file import Operator
from edgeq.frontend.tflite_graph import Growing, quant_of_tensor
from edgeq.frontend.tflite_shapes import Reader
from edgeq.ir import Quant
from edgeq.ops.fixed_point import (
    INT32_MAX,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)
from edgeq.ops.functions import Clip, Exp, Gelu, Log, Neg, Rsqrt, Sqrt
from edgeq.ops.gemmlowp import inverse_root
from edgeq.ops.op import Array

Form = Callable[[Array], Array]
STEPS = np.arange(-128, 128, dtype=np.int64)
SHIFT = 20  # that keeps RSQRT's value an integer
_erfc = np.frompyfunc(math.erfc, 1, 1)


def _gelu(x: Array) -> Array:
    tail = np.asarray(_erfc((x * np.float32(-math.sqrt(0.5))).astype(np.float64)), np.float32)
    return np.asarray(np.float32(0.5) * x * tail)


def _gelu_by_tanh(x: Array) -> Array:
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.asarray(np.float32(0.5) * x * (np.float32(1) + np.tanh(inner)))


def _log(x: Array) -> Array:
    return np.asarray(np.log(np.maximum(x, np.float32(0))))  # below zero as at zero: the least code


def _half_away(y: Array) -> Array:
    y = y.astype(np.float64)
    return np.asarray(np.trunc(y + np.copysign(0.5, y)))


def float32_table(
    form: Form, given: Quant, made: Quant, rounding: Callable[[Array], Array] = _half_away
) -> Array:
    """int8 (256,): the answers to codes from -128, as LiteRT fills its tables."""
    scale_in, scale_out = np.float32(given.per_tensor), np.float32(made.per_tensor)
    x = scale_in * (STEPS - given.zero_point).astype(np.float32)
    with np.errstate(over="ignore", divide="ignore"):
        y = rounding(form(x).astype(np.float32) * (np.float32(1) / scale_out))
    return np.asarray(np.clip(y + made.zero_point, -128, 127), np.int8)


def rsqrt_table(given: Quant, made: Quant) -> Array:
    """int8 (256,): the largest code where nothing or less is given, as at 0 there."""
    ratio = 1 / (math.sqrt(given.per_tensor) * made.per_tensor)
    multiplier, shift = (np.array(n) for n in quantize_multiplier(ratio))
    table = np.full(256, 127, np.int8)
    for value in range(1, 128 - given.zero_point):
        one = np.array(INT32_MAX), np.array(0)
        inverse, left = one if value == 1 else inverse_root(np.array(value))
        root = multiply_by_quantized_multiplier(np.array(1), inverse, left + SHIFT)
        y = multiply_by_quantized_multiplier(root, multiplier, shift - SHIFT) + made.zero_point
        table[value + given.zero_point + 128] = np.clip(y, -128, 127)
    return table


def _looked_up(
    g: Growing, op: Operator, attrs: object, fill: Callable[[Quant, Quant], Array]
) -> None:
    """The op of these attributes, by the runtime's own table."""
    table = fill(quant_of_tensor(g.operand(op, 0)), quant_of_tensor(g.output(op)))
    params = g.constants(op, {"table": table}, {})
    g.add(op, type(attrs).__name__, attrs, (g.value(op, 0),), params)


def _by_float32(attrs: object, form: Form, rounding: Callable[[Array], Array]) -> Reader:
    return lambda g, op: _looked_up(
        g, op, attrs, lambda given, made: float32_table(form, given, made, rounding)
    )


def _gelu_of(g: Growing, op: Operator) -> None:
    by_tanh = bool(op.option(0, "b"))
    form = _gelu_by_tanh if by_tanh else _gelu
    attrs = Gelu("tanh" if by_tanh else "none")
    _looked_up(g, op, attrs, lambda given, made: float32_table(form, given, made))


def _clipped(low: float, high: float) -> Reader:
    """Codes of one scale between two, which float32 rounds, half away from zero."""

    def read(g: Growing, op: Operator) -> None:
        g.same_scale(op)
        quant = quant_of_tensor(g.output(op))
        ends = np.array([low, high], np.float32) / np.float32(quant.per_tensor)
        least, most = _half_away(ends) + quant.zero_point
        table = np.clip(STEPS, least, most).astype(np.int8)
        _looked_up(g, op, Clip(low, high), lambda _given, _made: table)

    return read


def _negated(g: Growing, op: Operator) -> None:
    """Codes negated, as int8 does: -128 is its own negative."""
    given, made = quant_of_tensor(g.operand(op, 0)), quant_of_tensor(g.output(op))
    if (made.scale, made.zero_point) != (given.scale, -given.zero_point):
        raise Refused(
            "LiteRT negates codes whatever their scales, TensorFlow Lite Micro has no int8 kernel; "
            "taken are an output of the input's scale and its negative zero point, a MUL by -1"
        )
    table = (-STEPS).astype(np.int8)
    _looked_up(g, op, Neg(), lambda _given, _made: table)


TABLE_READERS: dict[str, Reader] = {
    "GELU": _gelu_of,
    "EXP": _by_float32(Exp(), np.exp, _half_away),
    "LOG": _by_float32(Log(), _log, _half_away),
    "SQRT": _by_float32(Sqrt(), lambda x: np.sqrt(np.maximum(x, np.float32(0))), np.floor),
    "NEG": _negated,
    "RSQRT": lambda g, op: _looked_up(g, op, Rsqrt(), rsqrt_table),
    "RELU_N1_TO_1": _clipped(-1.0, 1.0),
    "RELU_0_TO_1": _clipped(0.0, 1.0),
}

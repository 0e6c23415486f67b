"""A cascade's signals as TensorFlow Lite operators: their value, and whether the next stage runs.

TensorFlow Lite Micro's LOG takes floats alone, so the entropy's logarithm is a sum of hinges.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit import tflite_steps as step
from edgeq.emit.tflite_router import HEADROOM, PROBABILITY, probabilities, spread
from edgeq.emit.tflite_writer import ACTIVATION, SubgraphWriter, Value
from edgeq.ir import Quant
from edgeq.ops.heads import MOST_HEADS, SPREAD_BITS
from edgeq.ops.op import Array
from edgeq.ops.signal import Signal
from edgeq.ops.signals import ENSEMBLE, ENTROPY, MONTE_CARLO, ROUTER

LOWEST, REACH = -128, 256  # int8 codes hold 0..255 above the lowest; a gap below 256 is any gap
HINGES = 128
MOST_BELOW = 0.37  # of p d, p <= exp(-d)


@dataclass(frozen=True)
class TfliteSignal:
    """`value` of y int8 (1, classes), or of so many heads one behind the other: (1, 1), int8 or
    int16, good up to the largest threshold of a cascade. `goes_on`: int32 (1,), 1 where that value
    passes a threshold. Thresholds are in steps of the integer signal.
    """

    value: Callable[[SubgraphWriter, str, Value, int, int], Value]
    goes_on: Callable[[SubgraphWriter, str, Value, int], Value]


def _gap(sg: SubgraphWriter, name: str, y: Value, _heads: int, _most: int) -> Value:
    """Largest less second largest of y int8 (1, classes), int8 (1, 1) from LOWEST on.

    The second is the largest once the first one's place is at the lowest code: nothing is rounded.
    """
    classes, scale = y.shape[1], y.q.per_tensor
    steps = Quant((scale,), LOWEST)
    winner = _arg_max(sg, name + ".winner", y)
    places = np.full((classes, classes), LOWEST, dtype=np.int8)
    np.fill_diagonal(places, 127)  # 255 steps, as far as a code can fall
    table = sg.constant(name + ".places", places, steps)
    mask = sg.value(name + ".mask", (1, classes), "int8", steps)
    options = schema.GatherOptionsT(axis=0, batchDims=0)
    sg.op("GATHER", [table, winner], [mask], options)
    rest = step.subtract(sg, name + ".rest", y, mask, y.q)
    best, second = _largest(sg, name + ".best", y), _largest(sg, name + ".second", rest)
    return step.subtract(sg, name + ".gap", best, second, steps)


def _largest(sg: SubgraphWriter, name: str, y: Value) -> Value:
    """int8 (1, 1) of (1, n)."""
    count = y.shape[1]
    column = step.reshape(sg, name + ".column", y, (1, count, 1, 1))
    return step.reshape(sg, name, step.largest(sg, name + ".pooled", column), (1, 1))


def _below(sg: SubgraphWriter, name: str, signal: Value, limit: int) -> Value:
    """int32 (1,): 1 when the signal is below the limit. ARG_MAX compares codes as they are, where
    LESS multiplies by their scale; of equal ones it takes the first, the signal.
    """
    if limit >= REACH:
        return constant_index(sg, name + ".goes_on", 1, 2)
    code = np.array([[limit + LOWEST]], dtype=np.int8)
    bound = sg.constant(name + ".threshold", code, signal.quant)
    return _second_is_more(sg, name, signal, bound)


def _second_is_more(sg: SubgraphWriter, name: str, first: Value, second: Value) -> Value:
    """int32 (1,): 1 when the second of two int8 (1, 1) is larger."""
    pair = sg.value(name + ".pair", (1, 2), "int8", first.quant)
    options = schema.ConcatenationOptionsT(axis=1, fusedActivationFunction=ACTIVATION["none"])
    sg.op("CONCATENATION", [first, second], [pair], options)
    return _arg_max(sg, name + ".goes_on", pair)


def _entropy(sg: SubgraphWriter, name: str, y: Value, _heads: int, _most: int) -> Value:
    """ln S + sum p d of the softmax of y, nats int16 (1, 1); d lies below the largest logit."""
    p, most = probabilities(sg, name, y), math.log(y.shape[1]) * 1.01
    total = step.symmetric16(most)
    best = _largest(sg, name + ".best", y)
    down = step.subtract(sg, name + ".below", best, y, Quant((y.q.per_tensor,), LOWEST))
    below = step.quantize(sg, name + ".below16", down, "int16", step.widened(y.q))
    part = step.multiply(sg, name + ".part", p, below, step.symmetric16(MOST_BELOW))
    mean = step.mean(sg, name + ".mean", part, [1], step.symmetric16(MOST_BELOW))
    classes = step.constant16(sg, name + ".classes", np.full((1, 1), y.shape[1]))
    spread = step.multiply(sg, name + ".spread", mean, classes, total)
    surest = _largest(sg, name + ".surest", p)
    return step.add(sg, name + ".entropy", spread, _minus_ln(sg, name, surest, y.shape[1]), total)


def _minus_ln(sg: SubgraphWriter, name: str, p: Value, classes: int) -> Value:
    """-ln p of p int16 (1, 1) from 1 / classes to 1: straight between points in equal ratios."""
    points, weights = hinges(classes)
    most = math.log(classes) * 1.01
    ends = sg.constant(name + ".points", _q15(points), PROBABILITY)
    above = step.subtract(sg, name + ".above", ends, p, PROBABILITY, "relu")
    by = step.constant16(sg, name + ".slopes", (weights * HINGES)[None])
    terms = step.multiply(sg, name + ".terms", above, by, step.symmetric16(most * HINGES))
    return step.mean(sg, name + ".ln", terms, [1], step.symmetric16(most))


def _q15(values: Array) -> Array:
    return np.minimum(np.round(values * 2**15), step.INT16_MAX).astype(np.int16)[None]


def hinges(classes: int) -> tuple[Array, Array]:
    """Points and weights (HINGES,) with -ln p = sum weights max(points - p, 0), about."""
    points = np.exp(-np.linspace(0, math.log(classes), HINGES + 1))
    slopes = -np.diff(-np.log(points)) / np.diff(points)
    return points[:-1], np.diff(slopes, prepend=0.0)


def _spread(sg: SubgraphWriter, name: str, y: Value, heads: int, most: int) -> Value:
    """Variance of the heads' probabilities, summed over classes: int16 (1, 1)."""
    limit, asked = heads / (heads - 1), HEADROOM * most * 2.0**-SPREAD_BITS
    each = step.reshape(sg, name + ".heads", y, (heads, y.shape[1] // heads))
    return spread(sg, name, each, min(limit, asked) if asked > 0 else limit)


def _ensemble(sg: SubgraphWriter, name: str, y: Value, heads: int, _most: int) -> Value:
    """Largest less second largest sum over the heads: int16 (1, 1)."""
    classes, steps = y.shape[1] // heads, step.widened(y.q)
    each = step.reshape(sg, name + ".heads", y, (heads, classes))
    wide = step.quantize(sg, name + ".heads16", each, "int16", steps)
    mean = step.mean(sg, name + ".mean", wide, [0], steps)
    best = _largest(sg, name + ".best", mean)
    behind = step.subtract(sg, name + ".behind16", mean, best, steps)
    near = step.quantize(sg, name + ".behind", behind, "int8", steps)
    coarse = Quant((y.q.per_tensor * 3,), 0)  # 127 of it are more than any int16 of `steps`
    winner = _arg_max(sg, name + ".winner", near)
    table = sg.constant(name + ".places", 127 * np.eye(classes, dtype=np.int8), coarse)
    mask = sg.value(name + ".mask", (1, classes), "int8", coarse)
    sg.op("GATHER", [table, winner], [mask], schema.GatherOptionsT(axis=0, batchDims=0))
    wide_mask = step.quantize(sg, name + ".mask16", mask, "int16", steps)
    rest = step.subtract(sg, name + ".rest", mean, wide_mask, steps)
    rest = step.subtract(sg, name + ".others", rest, wide_mask, steps)  # as far as codes can fall
    second = _largest(sg, name + ".second", rest)
    gap = step.subtract(sg, name + ".gap", best, second, steps)
    count = step.constant16(sg, name + ".count", np.full((1, 1), heads))
    whole = step.symmetric16(REACH * MOST_HEADS * y.q.per_tensor)
    return step.multiply(sg, name + ".sum", gap, count, whole)


def _above(rule: Signal) -> Callable[[SubgraphWriter, str, Value, int], Value]:
    """int32 (1,): 1 when the int16 signal is above the limit. Their difference, saturated to int8,
    is ranked beside 0.
    """

    def goes_on(sg: SubgraphWriter, name: str, signal: Value, limit: int) -> Value:
        if limit <= rule.least:
            return constant_index(sg, name + ".goes_on", 1, 2)
        bound = _bound(sg, name, signal, limit * rule.unit(1.0))
        return _is_positive(sg, name, signal, bound)

    return goes_on


def _below_sum(sg: SubgraphWriter, name: str, signal: Value, limit: int) -> Value:
    """int32 (1,): 1 when the int16 sum of steps is below the limit, which lies between two."""
    if limit >= ENSEMBLE.most:
        return constant_index(sg, name + ".goes_on", 1, 2)
    scale = signal.q.per_tensor * step.INT16_MAX / (REACH * MOST_HEADS)  # of a logit
    bound = _bound(sg, name, signal, (limit - 0.5) * scale)
    return _is_positive(sg, name, bound, signal)


def _bound(sg: SubgraphWriter, name: str, signal: Value, real: float) -> Value:
    code = min(round(real / signal.q.per_tensor), step.INT16_MAX)
    return sg.constant(name + ".threshold", np.array([[code]], np.int16), signal.quant)


def _is_positive(sg: SubgraphWriter, name: str, a: Value, b: Value) -> Value:
    """int32 (1,): 1 when a - b, int16 (1, 1), is above 0."""
    wide = step.subtract(sg, name + ".over16", a, b, a.q)
    over = step.quantize(sg, name + ".over", wide, "int8", a.q)
    zero = sg.constant(name + ".zero", np.zeros((1, 1), np.int8), a.quant)
    return _second_is_more(sg, name, zero, over)


def constant_index(sg: SubgraphWriter, name: str, index: int, count: int) -> Value:
    """int32 (1,) that is always `index`: computed, as a subgraph may not give a constant."""
    row = np.zeros((1, count), dtype=np.int8)
    row[0, index] = 1
    return _arg_max(sg, name, sg.constant(name + ".places", row, Quant((1.0,), 0)))


def _arg_max(sg: SubgraphWriter, name: str, x: Value) -> Value:
    axis = sg.constant(name + ".axis", np.array(1, dtype=np.int32))
    best = sg.value(name, (1,), "int32")
    sg.op("ARG_MAX", [x, axis], [best], schema.ArgMaxOptionsT(outputType=schema.TensorType.INT32))
    return best


TFLITE_SIGNALS: Mapping[str, TfliteSignal] = {
    "gap": TfliteSignal(_gap, _below),
    "entropy": TfliteSignal(_entropy, _above(ENTROPY)),
    "monte_carlo": TfliteSignal(_spread, _above(MONTE_CARLO)),
    "ensemble": TfliteSignal(_ensemble, _below_sum),
    "router": TfliteSignal(_spread, _above(ROUTER)),
}

"""The few TensorFlow Lite operators that the emitter composes, one function each.

Every function appends to a subgraph and returns the new tensor. Shapes include the batch axis.
"""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit.tflite_writer import ACTIVATION, SubgraphWriter, Value
from edgeq.ir import Quant
from edgeq.ops.op import Array

INT16_MAX = 32767
LEAST_CONSTANT = 1e-30  # a constant of zeros has to have some scale, and float32 must hold it


def fused(activation: str, out: Quant) -> int:
    """The schema's activation; relu6 is relu where 6 lies beyond every code.

    Both interpreters refuse a 6 that is more than an int32 of steps.
    """
    beyond = activation == "relu6" and 6.0 / out.per_tensor > 2 * INT16_MAX
    return ACTIVATION["relu" if beyond else activation]


def symmetric16(largest: float) -> Quant:
    """int16 with zero point 0 whose largest value is `largest`."""
    return Quant((largest / INT16_MAX,), 0)


def widened(quant: Quant) -> Quant:
    """int16 that holds every int8 value exactly: 1/128 of a step, |q - zero_point| <= 255."""
    return Quant((quant.per_tensor / 128,), 0)


def quantize(sg: SubgraphWriter, name: str, x: Value, dtype: str, quant: Quant) -> Value:
    """QUANTIZE: another type, scale or zero point; saturates."""
    y = sg.value(name, x.shape, dtype, quant)
    sg.op("QUANTIZE", [x], [y], schema.QuantizeOptionsT())
    return y


def reshape(sg: SubgraphWriter, name: str, x: Value, shape: Sequence[int]) -> Value:
    """RESHAPE; x itself when the shape is the same."""
    if tuple(shape) == x.shape:
        return x
    y = sg.value(name, shape, x.dtype, x.quant)
    wanted = sg.constant(name + ".shape", np.array(shape, dtype=np.int32))
    sg.op("RESHAPE", [x, wanted], [y], schema.ReshapeOptionsT(newShape=list(shape)))
    return y


def largest(sg: SubgraphWriter, name: str, x: Value) -> Value:
    """MAX_POOL_2D over the rows of a map: (1, 1, columns, channels) of (1, rows, ...)."""
    y = sg.value(name, (1, 1, *x.shape[2:]), x.dtype, x.quant)
    options = schema.Pool2DOptionsT(
        padding=schema.Padding.VALID,
        strideH=1,
        strideW=1,
        filterHeight=x.shape[1],
        filterWidth=1,
        fusedActivationFunction=ACTIVATION["none"],
    )
    sg.op("MAX_POOL_2D", [x], [y], options)
    return y


def mean(sg: SubgraphWriter, name: str, x: Value, axes: Sequence[int], quant: Quant) -> Value:
    """MEAN with kept axes."""
    shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
    y = sg.value(name, shape, x.dtype, quant)
    axis = sg.constant(name + ".axes", np.array(axes, dtype=np.int32))
    sg.op("MEAN", [x, axis], [y], schema.ReducerOptionsT(keepDims=True))
    return y


def add(
    sg: SubgraphWriter, name: str, a: Value, b: Value, quant: Quant, activation: str = "none"
) -> Value:
    """ADD with broadcasting."""
    options = schema.AddOptionsT(fused(activation, quant), potScaleInt16=False)
    return _elementwise(sg, "ADD", name, a, b, quant, options)


def subtract(
    sg: SubgraphWriter, name: str, a: Value, b: Value, quant: Quant, activation: str = "none"
) -> Value:
    """SUB, a - b, with broadcasting."""
    options = schema.SubOptionsT(fused(activation, quant), potScaleInt16=False)
    return _elementwise(sg, "SUB", name, a, b, quant, options)


def multiply(
    sg: SubgraphWriter, name: str, a: Value, b: Value, quant: Quant, activation: str = "none"
) -> Value:
    """MUL with broadcasting."""
    options = schema.MulOptionsT(fused(activation, quant))
    return _elementwise(sg, "MUL", name, a, b, quant, options)


def _elementwise(
    sg: SubgraphWriter, op: str, name: str, a: Value, b: Value, quant: Quant, options: object
) -> Value:
    y = sg.value(name, np.broadcast_shapes(a.shape, b.shape), a.dtype, quant)
    sg.op(op, [a, b], [y], options)
    return y


def rsqrt(sg: SubgraphWriter, name: str, x: Value, quant: Quant) -> Value:
    """RSQRT: 1 / sqrt(x)."""
    y = sg.value(name, x.shape, x.dtype, quant)
    sg.op("RSQRT", [x], [y])
    return y


def softmax(sg: SubgraphWriter, name: str, x: Value, quant: Quant) -> Value:
    """SOFTMAX over the last axis."""
    y = sg.value(name, x.shape, x.dtype, quant)
    sg.op("SOFTMAX", [x], [y], schema.SoftmaxOptionsT(beta=1.0))
    return y


def constant16(sg: SubgraphWriter, name: str, values: Array) -> Value:
    """Real numbers as an int16 constant, zero point 0, the largest magnitude at 32767."""
    values = np.asarray(values, dtype=np.float64)
    quant = symmetric16(max(float(np.abs(values).max()), LEAST_CONSTANT))
    codes = np.round(values / quant.per_tensor).astype(np.int16)
    return sg.constant(name, codes, quant)

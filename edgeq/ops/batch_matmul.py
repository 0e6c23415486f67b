"""BatchMatMul: matrices of two activations, as attention multiplies them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.fixed_point import quantize_multipliers, requantize
from edgeq.ops.op import (
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Accumulator,
    Array,
    Call,
    Fields,
    Io,
    Lowered,
    Op,
    Params,
    Place,
    Role,
    Site,
    own_scale,
    quant_of,
    whole_window,
)
from edgeq.ops.weighted import SUM_STEPS

LARGEST_DEPTH = (2**31 - 1) // 255**2


@dataclass(frozen=True)
class BatchMatMul:
    """(..., rows, depth) by (..., depth, columns). transpose: the second is (..., columns, depth).

    The axes in front are the same, or those of one operand all 1.
    """

    transpose: bool = False


def _sizes(
    attrs: BatchMatMul, a: tuple[int, ...], b: tuple[int, ...]
) -> tuple[tuple[int, ...], int, int, int]:
    """(axes in front, rows, depth, columns)."""
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(f"cannot multiply {a} by {b}: their axes differ in number, or are one")
    depth, columns = (b[-1], b[-2]) if attrs.transpose else (b[-2], b[-1])
    fronts = (a[:-2], b[:-2])
    front = max(fronts, key=math.prod)
    if a[-1] != depth or any(f != front and math.prod(f) != 1 for f in fronts):
        raise ValueError(f"cannot multiply {a} by {b}{', transposed' if attrs.transpose else ''}")
    if depth > LARGEST_DEPTH:
        raise ValueError(f"cannot sum {depth} products; at most {LARGEST_DEPTH}")
    return front, a[-2], depth, columns


def _result_shape(
    attrs: BatchMatMul, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    front, rows, _, columns = _sizes(attrs, inputs[0], inputs[1])
    return (*front, rows, columns)


def _multiplied(attrs: BatchMatMul, a: Array, b: Array) -> Array:
    return a @ (b.swapaxes(-1, -2) if attrs.transpose else b)


def _float_forward(attrs: BatchMatMul, x: tuple[Array, ...], params: Params) -> Array:
    return _multiplied(attrs, x[0], x[1])


def _reference(attrs: BatchMatMul, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    a, b = (v.astype(np.int64) - quant_of(t).zero_point for v, t in zip(x, io.inputs, strict=True))
    acc = _multiplied(attrs, a, b)
    zero_point = quant_of(io.output).zero_point
    return requantize(acc, params["multiplier"], params["shift"], zero_point, -128, 127)


def _macs(attrs: BatchMatMul, io: Io, params: Mapping[str, Any]) -> int:
    front, rows, depth, columns = _sizes(attrs, io.inputs[0].shape, io.inputs[1].shape)
    return math.prod(front) * rows * depth * columns


def _lower(site: Site) -> Lowered:
    """The product of the scales is a float32, as TensorFlow Lite has it."""
    a, b = (np.float32(site.input_quant(i).per_tensor) for i in (0, 1))
    multiplier, shift = quantize_multipliers([float(a * b) / site.output_quant.per_tensor])
    return Lowered({"multiplier": multiplier, "shift": shift}, {})


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    reach = np.array([site.input_shape[-1] * 255 * 255])
    return (Accumulator(reach, site.param("multiplier"), site.param("shift")),)


def _finest(attrs: BatchMatMul, scales: tuple[float, ...], params: Params) -> float:
    return 255.0 * 255.0 * scales[0] * scales[1] / SUM_STEPS


def _fields(site: Site) -> Fields:
    a, b = (t.shape for t in site.io.inputs)
    front, rows, depth, columns = _sizes(site.node.attrs, a, b)
    along = (1, depth) if site.node.attrs.transpose else (columns, 1)
    zeros = [q.zero_point for q in (site.input_quant(0), site.input_quant(1), site.output_quant)]
    return (
        ("batches", math.prod(front)),
        ("rows", rows),
        ("depth", depth),
        ("columns", columns),
        ("a_batch", rows * depth if a[:-2] == front else 0),
        ("b_batch", depth * columns if b[:-2] == front else 0),
        ("b_depth", along[0]),
        ("b_column", along[1]),
        ("zero_point", np.array(zeros, np.int32)),
        ("multiplier", int(site.number("multiplier"))),
        ("shift", int(site.number("shift"))),
    )


OP = Op(
    name="BatchMatMul",
    attrs=BatchMatMul,
    arity=2,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=_macs,
    roles=lambda _: tuple(Role(n, "int32", Place.INLINE) for n in ("multiplier", "shift")),
    scale=own_scale,
    finest=_finest,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=_accumulators,
    reach=whole_window,
    memory=None,
    code=Call("BatchMatMul", "edgeq_batch_matmul_params", _fields),
)

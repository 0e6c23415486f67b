"""Pools, sums and rescaling of int16 activations, rounded as TensorFlow Lite Micro does."""

from dataclasses import dataclass, replace

import numpy as np

from edgeq.errors import UnsupportedOp
from edgeq.ops import add, max_pool_2d, mean_pool_2d, narrow
from edgeq.ops.add import Add
from edgeq.ops.fixed_point import multiply_by_quantized_multiplier
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mean_pool_2d import MeanPool2D
from edgeq.ops.op import (
    Accumulator,
    Array,
    Call,
    Fields,
    Io,
    Params,
    Scale,
    Site,
    clamp_fields,
    quant_of,
)
from edgeq.ops.wide import INT16, REACH, bounds

LEFT_SHIFT = 15  # headroom of an Add's inputs: 20 bits in int8
MOST_INT8 = 255  # |code - zero point|


@dataclass(frozen=True)
class WideMaxPool2D(MaxPool2D):
    pass


@dataclass(frozen=True)
class WideMeanPool2D(MeanPool2D):
    pass


@dataclass(frozen=True)
class WideAdd(Add):
    pass


@dataclass(frozen=True)
class Widen:
    """int8 to int16 in another scale, as QUANTIZE rounds it."""


def _largest(attrs: WideMaxPool2D, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    return max_pool_2d.pool(attrs, x[0], -REACH)


def _mean(attrs: WideMeanPool2D, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    mean = mean_pool_2d.rounded_mean(attrs, x[0])
    return np.clip(mean, *bounds(attrs.activation, quant_of(io.output))).astype(np.int16)


def _sum(attrs: WideAdd, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: multiplier, shift of shape (3,): first input, second input, output."""
    m, s = params["multiplier"], params["shift"]
    total = np.zeros(x[0].shape, np.int64)
    for i in (0, 1):
        total += multiply_by_quantized_multiplier(x[i].astype(np.int64) << LEFT_SHIFT, m[i], s[i])
    made = multiply_by_quantized_multiplier(total, m[2], s[2])
    return np.clip(made, *bounds(attrs.activation, quant_of(io.output))).astype(np.int16)


def _sum_accumulators(site: Site) -> tuple[Accumulator, ...]:
    """Both inputs arrive at half their 2^15 << 15."""
    multiplier, shift = site.param("multiplier")[2:], site.param("shift")[2:]
    return (Accumulator(np.array([REACH << LEFT_SHIFT]), multiplier, shift),)


def _sum_fields(site: Site) -> Fields:
    return (
        ("size", site.output_size),
        ("multiplier", site.param("multiplier")),
        ("shift", site.param("shift")),
        *clamp_fields(site),
    )


def _widened(attrs: Widen, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    centred = x[0].astype(np.int64) - quant_of(io.inputs[0]).zero_point
    made = multiply_by_quantized_multiplier(centred, params["multiplier"][0], params["shift"][0])
    return np.clip(made, -REACH, REACH - 1).astype(np.int16)


def _widened_scale(attrs: Widen, io: Io) -> Scale:
    """Raises UnsupportedOp for other types than int8 to int16."""
    types = io.inputs[0].dtype, io.output.dtype
    if types not in (("int8", "int16"), ("float32", "float32"), ("int8", "float32")):
        raise UnsupportedOp(f"Widen takes int8 to int16, not {types[0]} to {types[1]}")
    return Scale.WIDE


def _widened_accumulators(site: Site) -> tuple[Accumulator, ...]:
    return (Accumulator(np.array([MOST_INT8]), site.param("multiplier"), site.param("shift")),)


def _widened_fields(site: Site) -> Fields:
    return (
        ("size", site.output_size),
        ("multiplier", site.number("multiplier")),
        ("shift", site.number("shift")),
        ("input_zero_point", site.input_quant().zero_point),
    )


ROWS = (
    replace(
        max_pool_2d.OP,
        name="WideMaxPool2D",
        attrs=WideMaxPool2D,
        dtypes=INT16,
        reference=_largest,
        code=Call("WideMaxPool2D", "edgeq_window", max_pool_2d.fields),
    ),
    replace(
        mean_pool_2d.OP,
        name="WideMeanPool2D",
        attrs=WideMeanPool2D,
        dtypes=INT16,
        reference=_mean,
        code=Call("WideMeanPool2D", "edgeq_mean_pool_2d_params", mean_pool_2d.fields),
    ),
    replace(
        add.OP,
        name="WideAdd",
        attrs=WideAdd,
        dtypes=INT16,
        reference=_sum,
        scale=lambda _attrs, _io: Scale.WIDE,
        lower=lambda site: add.lower_sum(site, LEFT_SHIFT),
        accumulators=_sum_accumulators,
        code=Call("WideAdd", "edgeq_wide_add_params", _sum_fields),
    ),
    replace(
        narrow.OP,
        name="Widen",
        attrs=Widen,
        reference=_widened,
        scale=_widened_scale,
        accumulators=_widened_accumulators,
        code=Call("Widen", "edgeq_widen_params", _widened_fields),
    ),
)

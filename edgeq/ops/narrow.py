"""int16 to int8: another scale, rounded as TensorFlow Lite's QUANTIZE does."""

from dataclasses import dataclass

import numpy as np

from edgeq.errors import UnsupportedOp
from edgeq.ops.fixed_point import quantize_multipliers, requantize
from edgeq.ops.op import (
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
    Scale,
    Site,
    each_cell,
    no_limit,
    no_macs,
    quant_of,
    same_shape,
)

ROLES = (Role("multiplier", "int32", Place.INLINE), Role("shift", "int32", Place.INLINE))
REACH = 1 << 15


@dataclass(frozen=True)
class Narrow:
    pass


def _float_forward(attrs: Narrow, x: tuple[Array, ...], params: Params) -> Array:
    return x[0]


def _scale(attrs: Narrow, io: Io) -> Scale:
    """The output's own. Raises UnsupportedOp for other types than int16 to int8."""
    types = io.inputs[0].dtype, io.output.dtype
    if types not in (("int16", "int8"), ("float32", "float32")):
        raise UnsupportedOp(f"Narrow takes int16 to int8, not {types[0]} to {types[1]}")
    return Scale.OWN


def _reference(attrs: Narrow, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: multiplier, shift of shape (1,)."""
    zero = quant_of(io.output).zero_point
    return requantize(
        x[0].astype(np.int64), params["multiplier"][0], params["shift"][0], zero, -128, 127
    )


def _lower(site: Site) -> Lowered:
    real = site.input_quant().per_tensor / site.output_quant.per_tensor
    multiplier, shift = quantize_multipliers([real])
    return Lowered({"multiplier": multiplier, "shift": shift}, {})


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    return (Accumulator(np.array([REACH]), site.param("multiplier"), site.param("shift")),)


def _fields(site: Site) -> Fields:
    return (
        ("size", site.output_size),
        ("multiplier", site.number("multiplier")),
        ("shift", site.number("shift")),
        ("output_zero_point", site.output_quant.zero_point),
    )


OP = Op(
    name="Narrow",
    attrs=Narrow,
    arity=1,
    dtypes=frozenset({"int8", "int16"}),
    result_shape=same_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: ROLES,
    scale=_scale,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=_accumulators,
    reach=each_cell,
    memory=None,
    code=Call("Narrow", "edgeq_narrow_params", _fields),
)

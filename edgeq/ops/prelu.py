"""PReLU (He et al., arXiv 1502.01852): a slope below zero for each cell of the last axes."""

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
    Pointer,
    Role,
    Site,
    each_cell_but,
    no_macs,
    own_scale,
    quant_of,
    zero_point_fields,
)

MOST_STEPS = 2.0**20  # output steps in one of the input's


@dataclass(frozen=True)
class PRelu:
    """The constant `slope` has the last axes of the input, at least one."""


def _result_shape(
    attrs: PRelu, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    shape, slope = inputs[0], params["slope"].shape
    if not slope or slope != shape[len(shape) - len(slope) :]:
        raise ValueError(f"slopes {slope} are not the last axes of {shape}")
    return shape


def _float_forward(attrs: PRelu, x: tuple[Array, ...], params: Params) -> Array:
    return np.where(x[0] < 0, x[0] * params["slope"], x[0])


def _reference(attrs: PRelu, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: slope int32 and shift, a multiplier each; above zero: positive (2,) int32."""
    value = x[0].astype(np.int64) - quant_of(io.inputs[0]).zero_point
    below = value < 0
    multiplier = np.where(below, params["slope"], params["positive"][0])
    shift = np.where(below, params["shift"], params["positive"][1])
    return requantize(value, multiplier, shift, quant_of(io.output).zero_point, -128, 127)


ROLES = (
    Role("slope", "int32"),
    Role("shift", "int8"),
    Role("positive", "int32", Place.INLINE),
)


def _lower(site: Site) -> Lowered:
    slope = site.real("slope").astype(np.float64)
    step = site.input_quant().per_tensor / site.output_quant.per_tensor
    multiplier, shift = quantize_multipliers(np.abs(slope) * step)
    signed = multiplier.reshape(slope.shape) * np.where(slope < 0, -1, 1)
    values: dict[str, Array] = {
        "slope": signed.astype(np.int32),
        "shift": shift.reshape(slope.shape).astype(np.int8),
        "positive": np.array([int(n[0]) for n in quantize_multipliers([step])], np.int32),
    }
    return Lowered(values, {})


def slopes(site: Site) -> Array:
    """The real slopes that the lowered constants stand for."""
    real = site.param("slope").astype(np.float64) * 2.0 ** (site.param("shift") - 31.0)
    return np.asarray(real * site.output_quant.per_tensor / site.input_quant().per_tensor)


def _finest(attrs: PRelu, scales: tuple[float, ...], params: Params) -> float:
    steepest = max(float(np.abs(params["slope"]).max(initial=0)), 1.0)
    return steepest * scales[0] / MOST_STEPS


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    multiplier = np.append(np.abs(site.param("slope")).reshape(-1), site.param("positive")[0])
    shift = np.append(site.param("shift").reshape(-1), site.param("positive")[1])
    return (Accumulator(np.full(len(shift), 255), multiplier, shift.astype(np.int64)),)


def _fields(site: Site) -> Fields:
    features = site.param("shift").size
    return (
        ("multiplier", Pointer("slope")),
        ("shift", Pointer("shift")),
        ("rows", math.prod(site.input_shape) // features),
        ("features", features),
        ("positive", site.param("positive")),
        *zero_point_fields(site),
    )


OP = Op(
    name="PRelu",
    attrs=PRelu,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: ROLES,
    scale=own_scale,
    finest=_finest,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=_accumulators,
    reach=each_cell_but("slope"),
    memory=None,
    code=Call("PRelu", "edgeq_prelu_params", _fields),
)

"""Add of two int8 tensors of one shape (a residual connection), as TensorFlow Lite adds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.fixed_point import (
    multiply_by_quantized_multiplier,
    quantize_multipliers,
    requantize,
)
from edgeq.ops.op import (
    CLAMP,
    INT8,
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
    activation_bounds,
    apply_activation,
    clamp_fields,
    each_cell,
    no_macs,
    own_scale,
    quant_of,
)

LEFT_SHIFT = 20  # headroom of the inputs before they are rescaled to a common scale


@dataclass(frozen=True)
class Add:
    activation: str = "none"


def _result_shape(
    attrs: Add, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    if inputs[0] != inputs[1]:
        raise ValueError(f"Add needs two tensors of one shape, got {inputs[0]} and {inputs[1]}")
    return inputs[0]


def _float_forward(attrs: Add, x: tuple[Array, ...], params: Params) -> Array:
    return apply_activation(attrs.activation, x[0] + x[1])


def _reference(attrs: Add, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: multiplier, shift of shape (3,): first input, second input, output."""
    out, m, s = quant_of(io.output), params["multiplier"], params["shift"]
    total = np.zeros(x[0].shape, dtype=np.int64)
    for i in (0, 1):
        centred = x[i].astype(np.int64) - quant_of(io.inputs[i]).zero_point
        total += multiply_by_quantized_multiplier(centred << LEFT_SHIFT, m[i], s[i])
    low, high = activation_bounds(attrs.activation, out)
    return requantize(total, m[2], s[2], out.zero_point, low, high)


ROLES = (Role("multiplier", "int32", Place.INLINE), Role("shift", "int32", Place.INLINE))


def lower_sum(site: Site, left_shift: int) -> Lowered:
    """TensorFlow Lite's Add: both inputs to twice the larger scale, with headroom in bits."""
    a, b = (site.input_quant(i).per_tensor for i in (0, 1))
    out, twice = site.output_quant.per_tensor, 2 * max(a, b)
    multiplier, shift = quantize_multipliers([a / twice, b / twice, twice / (2**left_shift * out)])
    return Lowered({"multiplier": multiplier, "shift": shift}, {})


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    """The sum alone: both inputs arrive at half their 255 << 20."""
    multiplier, shift = site.param("multiplier")[2:], site.param("shift")[2:]
    return (Accumulator(np.array([255 << LEFT_SHIFT]), multiplier, shift),)


def _fields(site: Site) -> Fields:
    quants = (site.input_quant(0), site.input_quant(1), site.output_quant)
    return (
        ("size", site.output_size),
        ("zero_point", np.array([q.zero_point for q in quants], np.int32)),
        ("multiplier", site.param("multiplier")),
        ("shift", site.param("shift")),
        *clamp_fields(site),
    )


OP = Op(
    name="Add",
    attrs=Add,
    arity=2,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: ROLES,
    scale=own_scale,
    # TensorFlow Lite's Add aborts from a multiplier of 1 on: a sum in steps of 2 max / 2^20
    finest=lambda _attrs, scales, _params: 4 * max(scales) / 2**LEFT_SHIFT,
    fuses=CLAMP,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=lambda site: lower_sum(site, LEFT_SHIFT),
    accumulators=_accumulators,
    reach=each_cell,
    memory=None,
    code=Call("Add", "edgeq_add_params", _fields),
)

"""AveragePool2D without padding. The mean is a requantisation by scale_in / (scale_out * cells),
so that nothing divides and the output may have a finer scale than the input.
"""

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
    Scale,
    Site,
    no_macs,
    quant_of,
    zero_point_fields,
)
from edgeq.ops.weighted import SUM_STEPS
from edgeq.ops.window import output_size, window_fields, window_reach, windows


@dataclass(frozen=True)
class AveragePool2D:
    kernel: tuple[int, int]
    stride: tuple[int, int]


NO_PADDING = (0, 0, 0, 0)


def _result_shape(
    attrs: AveragePool2D, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    height, width, channels = inputs[0]
    return (*output_size((height, width), attrs.kernel, attrs.stride, NO_PADDING), channels)


def _float_forward(attrs: AveragePool2D, x: tuple[Array, ...], params: Params) -> Array:
    return np.asarray(windows(x[0], attrs.kernel, attrs.stride, NO_PADDING, 0).mean(axis=(4, 5)))


def _reference(attrs: AveragePool2D, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    out, zero_point = quant_of(io.output), quant_of(io.inputs[0]).zero_point
    view = windows(x[0].astype(np.int64) - zero_point, attrs.kernel, attrs.stride, NO_PADDING, 0)
    acc = view.sum(axis=(4, 5))
    return requantize(acc, params["multiplier"], params["shift"], out.zero_point, -128, 127)


ROLES = (Role("multiplier", "int32", Place.INLINE), Role("shift", "int32", Place.INLINE))


def _scale(attrs: AveragePool2D, io: Io) -> Scale:
    """The mean of a whole map is flatter than the map: it gets a scale of its own."""
    return Scale.OWN if io.inputs[0].shape[:2] == attrs.kernel else Scale.KEPT


def _lower(site: Site) -> Lowered:
    attrs: AveragePool2D = site.node.attrs
    cells = attrs.kernel[0] * attrs.kernel[1]
    share = float(np.float32(1 / cells))  # a reciprocal that a file's float32 scale can hold
    real = site.input_quant().per_tensor * share / site.output_quant.per_tensor
    multiplier, shift = quantize_multipliers([real])
    return Lowered({"multiplier": multiplier, "shift": shift}, {})


def share_of(site: Site) -> float:
    """What a cell counts: one by the number of cells, or 1 where an imported file sums them."""
    real = float(site.number("multiplier")) * 2.0 ** (int(site.number("shift")) - 31)
    return float(np.float32(real * site.output_quant.per_tensor / site.input_quant().per_tensor))


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    attrs: AveragePool2D = site.node.attrs
    reach = np.array([255 * int(np.prod(attrs.kernel))])
    return (Accumulator(reach, site.param("multiplier"), site.param("shift")),)


def _fields(site: Site) -> Fields:
    attrs: AveragePool2D = site.node.attrs
    factor = (("multiplier", site.number("multiplier")), ("shift", site.number("shift")))
    window = window_fields(site, attrs.kernel, NO_PADDING, "window.")
    return window + zero_point_fields(site) + factor


OP = Op(
    name="AveragePool2D",
    attrs=AveragePool2D,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: ROLES,
    scale=_scale,
    finest=lambda _attrs, scales, _params: 255 * scales[0] / SUM_STEPS,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=_accumulators,
    reach=lambda own, _io, _params, axis: window_reach(own, own.kernel, axis),
    memory=None,
    code=Call("AveragePool2D", "edgeq_average_pool_2d_params", _fields),
)

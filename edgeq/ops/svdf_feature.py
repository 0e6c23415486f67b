"""The first half of an SVDF (arXiv 1812.02802): int8 frames (1, T, features) to the int16 filters
of each, (1, T, filters), which TensorFlow Lite Micro's SVDF keeps as its state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.errors import UnsupportedOp
from edgeq.ops.fixed_point import multiply_by_quantized_multiplier
from edgeq.ops.gates import gate_codes, numbers, weight_types_of
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
    Pointer,
    Role,
    Scale,
    Shapes,
    Site,
    each_cell,
    quant_of,
)
from edgeq.ops.weighted import layer_least

WEIGHT = "feature_weight"
ROLES = (
    Role(WEIGHT, "int8"),
    Role("multiplier", "int32", Place.INLINE),
    Role("shift", "int32", Place.INLINE),
)


@dataclass(frozen=True)
class SvdfFeature:
    pass


def frames_of(shape: tuple[int, ...]) -> int:
    """Of (1, T, values). ValueError for other shapes."""
    if len(shape) != 3 or shape[0] != 1:
        raise ValueError(f"takes frames (1, T, values), got {shape}")
    return shape[1]


def _result_shape(attrs: SvdfFeature, inputs: Shapes, params: Mapping[str, Any]) -> tuple[int, ...]:
    filters, features = params[WEIGHT].shape
    frames = frames_of(inputs[0])
    if inputs[0][2] != features:
        raise ValueError(f"filters {(filters, features)} do not fit frames {inputs[0]}")
    return 1, frames, filters


def _float_forward(attrs: SvdfFeature, x: tuple[Array, ...], params: Params) -> Array:
    return np.asarray(x[0] @ params[WEIGHT].T)


def _reference(attrs: SvdfFeature, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    centred = x[0].astype(np.int64) - quant_of(io.inputs[0]).zero_point
    sums = centred @ params[WEIGHT].astype(np.int64).T
    made = multiply_by_quantized_multiplier(sums, params["multiplier"][0], params["shift"][0])
    return np.clip(made, -32768, 32767).astype(np.int16)


def _scale(attrs: SvdfFeature, io: Io) -> Scale:
    """Raises UnsupportedOp for other types than int8 to int16."""
    types = io.inputs[0].dtype, io.output.dtype
    if types not in (("int8", "int16"), ("float32", "float32"), ("int8", "float32")):
        raise UnsupportedOp(f"SvdfFeature takes int8 to int16, not {types[0]} to {types[1]}")
    return Scale.WIDE


def integer_params(given: float, weight: float, made: float) -> dict[str, Array]:
    """Of either half: the scales' quotient is a float32, as TensorFlow Lite Micro has it."""
    real = np.float32(given) * np.float32(weight) / np.float32(made)
    return numbers("", np.array([float(real)]))


def _lower(site: Site) -> Lowered:
    codes, scales = gate_codes(site, WEIGHT, 1)
    scale = float(scales[0])
    ends = site.input_quant().per_tensor, site.output_quant.per_tensor
    values = {WEIGHT: codes, **integer_params(ends[0], scale, ends[1])}
    return Lowered(values, weight_types_of(WEIGHT, codes, scale))


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    rows = np.abs(site.param(WEIGHT).astype(np.int64)).sum(axis=1) * 255
    return (Accumulator(rows, site.param("multiplier"), site.param("shift")),)


def _macs(attrs: SvdfFeature, io: Io, params: Mapping[str, Any]) -> int:
    return int(io.output.shape[1] * params[WEIGHT].size)


def _finest(attrs: SvdfFeature, scales: tuple[float, ...], params: Params) -> float:
    return layer_least(params[WEIGHT], np.zeros(1), scales[0], 0)


def _fields(site: Site) -> Fields:
    frames, features = site.input_shape[1:]
    return (
        (WEIGHT, Pointer(WEIGHT)),
        ("frames", frames),
        ("features", features),
        ("filters", site.output_shape[2]),
        ("multiplier", int(site.number("multiplier"))),
        ("shift", int(site.number("shift"))),
        ("input_zero_point", site.input_quant().zero_point),
    )


OP = Op(
    name="SvdfFeature",
    attrs=SvdfFeature,
    arity=1,
    dtypes=frozenset({"int8", "int16"}),
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=_macs,
    roles=lambda _: ROLES,
    scale=_scale,
    finest=_finest,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=_accumulators,
    reach=each_cell,
    memory=None,
    code=Call("SvdfFeature", "edgeq_svdf_feature_params", _fields),
)

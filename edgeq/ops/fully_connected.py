"""FullyConnected: y = W x + b on flat features. Weight (out, in), bias (out,)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops import weighted
from edgeq.ops.fixed_point import requantize
from edgeq.ops.op import (
    NO_WIDENING,
    Array,
    Fields,
    Io,
    Params,
    Site,
    activation_bounds,
    apply_activation,
    clamp_fields,
    quant_of,
    whole_window,
    zero_point_fields,
)


@dataclass(frozen=True)
class FullyConnected:
    """`weight_format` is a packing token (s16 s8 s4 s3 s2 t2 b1)."""

    weight_format: str = "s8"
    activation: str = "none"


def _result_shape(
    attrs: FullyConnected, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    out, features = params["weight"].shape
    if inputs[0] != (features,):
        raise ValueError(f"input {inputs[0]} does not match weight (out, in) = {(out, features)}")
    return (out,)


def _float_forward(attrs: FullyConnected, x: tuple[Array, ...], params: Params) -> Array:
    return apply_activation(attrs.activation, x[0] @ params["weight"].T + params["bias"])


def accumulate(x: Array, zero_point: int, weight: Array, bias: Array) -> Array:
    """int64 accumulators bias + sum (x - zero_point) * w; x (rows, in), weight (out, in).

    float64 matrix products are exact here: every partial sum stays below 2^53.
    """
    product = (x.astype(np.float64) - zero_point) @ weight.T.astype(np.float64)
    return np.asarray(product.astype(np.int64) + bias.astype(np.int64))


def _reference(attrs: FullyConnected, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    out = quant_of(io.output)
    acc = accumulate(x[0], quant_of(io.inputs[0]).zero_point, params["weight"], params["bias"])
    low, high = activation_bounds(attrs.activation, out)
    return requantize(acc, params["multiplier"], params["shift"], out.zero_point, low, high)


def _macs(attrs: FullyConnected, io: Io, params: Mapping[str, Any]) -> int:
    return int(np.prod(params["weight"].shape))


def _fields(site: Site) -> Fields:
    outputs, inputs = site.param("weight").shape
    sizes: Fields = (("inputs", inputs), ("outputs", outputs))
    return weighted.POINTERS + sizes + zero_point_fields(site) + clamp_fields(site)


OP = weighted.layer(
    FullyConnected,
    axis=0,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=_macs,
    widens=NO_WIDENING,
    struct="edgeq_fully_connected_params",
    fields=_fields,
    reach=whole_window,
)

"""WideFullyConnected: y = W x + b of int16 features, W int8 (out, in), bias int64 (out,)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeq.ops import wide, wide_conv_2d
from edgeq.ops.fully_connected import accumulate
from edgeq.ops.op import (
    Array,
    Call,
    Fields,
    Io,
    Params,
    Shapes,
    Site,
    apply_activation,
    quant_of,
    whole_window,
)
from edgeq.ops.window import one_cell_fields


@dataclass(frozen=True)
class WideFullyConnected:
    activation: str = "none"
    sums: str = "int64"
    weight_format: str = "s8"


def _result_shape(
    attrs: WideFullyConnected, inputs: Shapes, params: Mapping[str, Any]
) -> tuple[int, ...]:
    out, features = params["weight"].shape
    if inputs[0] != (features,):
        raise ValueError(f"input {inputs[0]} does not match weight (out, in) = {(out, features)}")
    return (out,)


def _float_forward(attrs: WideFullyConnected, x: tuple[Array, ...], params: Params) -> Array:
    return apply_activation(attrs.activation, x[0] @ params["weight"].T + params["bias"])


def _reference(attrs: WideFullyConnected, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    acc = accumulate(x[0], 0, params["weight"], params["bias"])
    ends = wide.bounds(attrs.activation, quant_of(io.output))
    return wide.requantized(attrs.sums, acc, params, ends)


def _macs(attrs: WideFullyConnected, io: Io, params: Mapping[str, Any]) -> int:
    return int(np.prod(params["weight"].shape))


def _fields(site: Site) -> Fields:
    """Of the convolution that it is: one cell, a kernel of one tap."""
    outputs, inputs = site.param("weight").shape
    window = one_cell_fields(inputs, "window.")
    return wide.convolution_fields(site, window, (1, 1), (1, inputs, outputs))


OP = replace(
    wide_conv_2d.OP,
    name="WideFullyConnected",
    attrs=WideFullyConnected,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=_macs,
    reach=whole_window,
    code=Call("WideConv2D", "edgeq_wide_conv_2d_params", _fields),
)

"""WideConv2D on channels-last maps of int16. Weight int8 (out, kernel_h, kernel_w, in / groups),
bias int64 (out,). A depthwise one has a group a channel, and as many outputs as it multiplies by.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops import wide
from edgeq.ops.conv_2d import products
from edgeq.ops.op import (
    NO_FUSION,
    NO_WIDENING,
    Array,
    Call,
    Fields,
    Io,
    Op,
    Params,
    Scale,
    Shapes,
    Site,
    apply_activation,
    no_limit,
    quant_of,
)
from edgeq.ops.window import (
    Padding,
    Pair,
    output_size,
    spanned,
    window_fields,
    window_reach,
)


@dataclass(frozen=True)
class WideConv2D:
    """As Conv2D. `sums`: what TensorFlow Lite Micro adds up in, "int64" or "int32"."""

    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    activation: str = "none"
    dilation: Pair = (1, 1)
    groups: int = 1
    sums: str = "int64"
    weight_format: str = "s8"


def _result_shape(attrs: WideConv2D, inputs: Shapes, params: Mapping[str, Any]) -> tuple[int, ...]:
    out, kh, kw, depth = params["weight"].shape
    if len(inputs[0]) != 3 or inputs[0][2] != depth * attrs.groups or out % attrs.groups:
        shape = params["weight"].shape
        raise ValueError(f"input {inputs[0]}, weight {shape} and {attrs.groups} groups do not fit")
    kernel = spanned((kh, kw), attrs.dilation)
    return (*output_size(inputs[0][:2], kernel, attrs.stride, attrs.padding), out)


def _products(attrs: WideConv2D, x: Array, weight: Array) -> Array:
    return products(x, weight, attrs.stride, attrs.padding, attrs.dilation, attrs.groups)


def _float_forward(attrs: WideConv2D, x: tuple[Array, ...], params: Params) -> Array:
    y = _products(attrs, x[0], params["weight"]) + params["bias"]
    return apply_activation(attrs.activation, y)


def _reference(attrs: WideConv2D, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    # float64 products are exact: every partial sum stays below 2^53
    real, weight = x[0].astype(np.float64), params["weight"].astype(np.float64)
    acc = _products(attrs, real, weight).astype(np.int64) + params["bias"]
    ends = wide.bounds(attrs.activation, quant_of(io.output))
    return wide.requantized(attrs.sums, acc, params, ends)


def _macs(attrs: WideConv2D, io: Io, params: Mapping[str, Any]) -> int:
    height, width, _ = io.output.shape
    return height * width * int(np.prod(params["weight"].shape))


def _fields(site: Site) -> Fields:
    attrs: WideConv2D = site.node.attrs
    outputs, kh, kw, depth = site.param("weight").shape
    window = window_fields(site, (kh, kw), attrs.padding, "window.")
    sizes = attrs.groups, depth, outputs // attrs.groups
    return wide.convolution_fields(site, window, attrs.dilation, sizes)


OP = Op(
    name="WideConv2D",
    attrs=WideConv2D,
    arity=1,
    dtypes=wide.INT16,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=_macs,
    roles=lambda _: wide.ROLES,
    scale=lambda _attrs, _io: Scale.WIDE,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=0,
    widens=NO_WIDENING,
    lower=wide.lower,
    accumulators=wide.accumulators,
    reach=lambda own, _io, params, axis: window_reach(own, params["weight"].shape[1:3], axis),
    memory=None,
    code=Call("WideConv2D", "edgeq_wide_conv_2d_params", _fields),
)

"""DepthwiseConv2D (multiplier 1) on channels-last maps. Weight (kernel_h, kernel_w, channels)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops import weighted
from edgeq.ops.fixed_point import requantize
from edgeq.ops.op import (
    Array,
    Io,
    Params,
    activation_bounds,
    apply_activation,
    quant_of,
)
from edgeq.ops.window import convolution_fields, output_size, spanned, window_reach, windows


@dataclass(frozen=True)
class DepthwiseConv2D:
    """`padding` is (top, left, bottom, right); padded cells hold the real number zero. `dilation`:
    cells of the map from tap to tap.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    weight_format: str = "s8"
    activation: str = "none"
    dilation: tuple[int, int] = (1, 1)


def _result_shape(
    attrs: DepthwiseConv2D, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    kh, kw, channels = params["weight"].shape
    if len(inputs[0]) != 3 or inputs[0][2] != channels:
        raise ValueError(f"input {inputs[0]} does not match weight {params['weight'].shape}")
    kernel = spanned((kh, kw), attrs.dilation)
    return (*output_size(inputs[0][:2], kernel, attrs.stride, attrs.padding), channels)


def _products(attrs: DepthwiseConv2D, x: Array, weight: Array) -> Array:
    view = windows(x, weight.shape[:2], attrs.stride, attrs.padding, 0, attrs.dilation)
    return np.asarray(np.einsum("nhwcij,ijc->nhwc", view, weight))


def _float_forward(attrs: DepthwiseConv2D, x: tuple[Array, ...], params: Params) -> Array:
    return apply_activation(
        attrs.activation, _products(attrs, x[0], params["weight"]) + params["bias"]
    )


def _reference(attrs: DepthwiseConv2D, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    out, zero_point = quant_of(io.output), quant_of(io.inputs[0]).zero_point
    centred = x[0].astype(np.int32) - zero_point
    acc = _products(attrs, centred, params["weight"].astype(np.int32)) + params["bias"]
    low, high = activation_bounds(attrs.activation, out)
    return requantize(acc, params["multiplier"], params["shift"], out.zero_point, low, high)


def _macs(attrs: DepthwiseConv2D, io: Io, params: Mapping[str, Any]) -> int:
    kh, kw, _ = params["weight"].shape
    return int(np.prod(io.output.shape)) * int(kh) * int(kw)


# nine weights a channel save nothing below 4 bits, and no narrower kernel exists
WIDENS = dict.fromkeys(("t2", "b1", "s2", "s3"), "s4")

OP = weighted.layer(
    DepthwiseConv2D,
    axis=2,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=_macs,
    widens=WIDENS,
    struct="edgeq_conv_2d_params",
    fields=lambda site: convolution_fields(site, site.param("weight").shape[:2]),
    reach=lambda own, _io, params, axis: window_reach(own, params["weight"].shape[:2], axis),
)

"""Conv2D on channels-last maps. Weight (out, kernel_h, kernel_w, in), bias (out,)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops import weighted
from edgeq.ops.fixed_point import requantize
from edgeq.ops.op import (
    NO_WIDENING,
    Array,
    Io,
    Params,
    activation_bounds,
    apply_activation,
    quant_of,
)
from edgeq.ops.window import convolution_fields, output_size, windows


@dataclass(frozen=True)
class Conv2D:
    """`padding` is (top, left, bottom, right); padded cells hold the real number zero."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    weight_format: str = "s8"
    activation: str = "none"


def _result_shape(
    attrs: Conv2D, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    out, kh, kw, channels = params["weight"].shape
    if len(inputs[0]) != 3 or inputs[0][2] != channels:
        raise ValueError(f"input {inputs[0]} does not match weight {params['weight'].shape}")
    return (*output_size(inputs[0][:2], (kh, kw), attrs.stride, attrs.padding), out)


def _im2col(attrs: Conv2D, x: Array, kernel: tuple[int, int], fill: float) -> Array:
    """(rows, out_h, out_w, kernel_h * kernel_w * in), in the weight's order."""
    view = windows(x, kernel, attrs.stride, attrs.padding, fill).transpose(0, 1, 2, 4, 5, 3)
    return view.reshape(*view.shape[:3], -1)


def _float_forward(attrs: Conv2D, x: tuple[Array, ...], params: Params) -> Array:
    weight = params["weight"]
    columns = _im2col(attrs, x[0], weight.shape[1:3], 0.0)
    y = columns @ weight.reshape(weight.shape[0], -1).T + params["bias"]
    return apply_activation(attrs.activation, y)


def _reference(attrs: Conv2D, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    weight, out = params["weight"], quant_of(io.output)
    zero_point = quant_of(io.inputs[0]).zero_point
    # float64 products are exact: every partial sum stays below 2^53
    columns = _im2col(attrs, x[0].astype(np.float64) - zero_point, weight.shape[1:3], 0.0)
    product = columns @ weight.reshape(weight.shape[0], -1).T.astype(np.float64)
    acc = product.astype(np.int64) + params["bias"].astype(np.int64)
    low, high = activation_bounds(attrs.activation, out)
    return requantize(acc, params["multiplier"], params["shift"], out.zero_point, low, high)


def _macs(attrs: Conv2D, io: Io, params: Mapping[str, Any]) -> int:
    height, width, _ = io.output.shape
    return height * width * int(np.prod(params["weight"].shape))


OP = weighted.layer(
    Conv2D,
    axis=0,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=_macs,
    widens=NO_WIDENING,
    struct="edgeq_conv_2d_params",
    fields=lambda site: convolution_fields(site, site.param("weight").shape[1:3]),
)

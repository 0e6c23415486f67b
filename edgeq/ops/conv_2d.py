"""Conv2D on channels-last maps. Weight (out, kernel_h, kernel_w, in / groups), bias (out,)."""

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
from edgeq.ops.window import (
    Padding,
    Pair,
    convolution_fields,
    output_size,
    spanned,
    window_reach,
    windows,
)


@dataclass(frozen=True)
class Conv2D:
    """`padding` is (top, left, bottom, right); padded cells hold the real number zero. `dilation`:
    cells of the map from tap to tap. Outputs of a group read the input's channels of that group.
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    weight_format: str = "s8"
    activation: str = "none"
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


def _result_shape(
    attrs: Conv2D, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    out, kh, kw, depth = params["weight"].shape
    if len(inputs[0]) != 3 or inputs[0][2] != depth * attrs.groups or out % attrs.groups:
        within = f" in {attrs.groups} groups" if attrs.groups > 1 else ""
        raise ValueError(
            f"input {inputs[0]} does not match weight {params['weight'].shape}{within}"
        )
    kernel = spanned((kh, kw), attrs.dilation)
    return (*output_size(inputs[0][:2], kernel, attrs.stride, attrs.padding), out)


def products(
    x: Array, weight: Array, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    """(rows, out_h, out_w, out) sums; a patch's columns are in the weight's order."""
    kernel = weight.shape[1:3]
    view = windows(x, kernel, stride, padding, 0.0, dilation)
    apart = view.reshape(*view.shape[:3], groups, -1, *kernel).transpose(3, 0, 1, 2, 5, 6, 4)
    columns = apart.reshape(*apart.shape[:4], -1)
    filters = weight.reshape(groups, len(weight) // groups, -1)
    return np.concatenate([c @ f.T for c, f in zip(columns, filters, strict=True)], axis=-1)


def _products(attrs: Conv2D, x: Array, weight: Array) -> Array:
    return products(x, weight, attrs.stride, attrs.padding, attrs.dilation, attrs.groups)


def _float_forward(attrs: Conv2D, x: tuple[Array, ...], params: Params) -> Array:
    y = _products(attrs, x[0], params["weight"]) + params["bias"]
    return apply_activation(attrs.activation, y)


def _reference(attrs: Conv2D, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    out, zero_point = quant_of(io.output), quant_of(io.inputs[0]).zero_point
    # float64 products are exact: every partial sum stays below 2^53
    centred, weight = x[0].astype(np.float64) - zero_point, params["weight"].astype(np.float64)
    acc = _products(attrs, centred, weight).astype(np.int64) + params["bias"].astype(np.int64)
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
    reach=lambda own, _io, params, axis: window_reach(own, params["weight"].shape[1:3], axis),
)

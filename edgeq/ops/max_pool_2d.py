"""MaxPool2D; input and output share scale and zero point. Padded cells never win."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.op import (
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Array,
    Call,
    Fields,
    Io,
    Op,
    Params,
    Site,
    no_accumulators,
    no_constants,
    no_limit,
    no_macs,
    no_roles,
    shared_scale,
)
from edgeq.ops.window import output_size, window_fields, window_reach, windows


@dataclass(frozen=True)
class MaxPool2D:
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)


def _result_shape(
    attrs: MaxPool2D, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    height, width, channels = inputs[0]
    return (*output_size((height, width), attrs.kernel, attrs.stride, attrs.padding), channels)


def pool(attrs: MaxPool2D, x: Array, fill: float) -> Array:
    """The largest of each window; `fill`: what is less than any code."""
    view = windows(x, attrs.kernel, attrs.stride, attrs.padding, fill)
    return np.asarray(view.max(axis=(4, 5)))


def _float_forward(attrs: MaxPool2D, x: tuple[Array, ...], params: Params) -> Array:
    return pool(attrs, x[0], -np.inf)


def _reference(attrs: MaxPool2D, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    return pool(attrs, x[0], -128)


def fields(site: Site) -> Fields:
    """edgeq_window."""
    attrs: MaxPool2D = site.node.attrs
    return window_fields(site, attrs.kernel, attrs.padding)


OP = Op(
    name="MaxPool2D",
    attrs=MaxPool2D,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=no_roles,
    scale=shared_scale,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=no_constants,
    accumulators=no_accumulators,
    reach=lambda own, _io, _params, axis: window_reach(own, own.kernel, axis),
    memory=None,
    code=Call("MaxPool2D", "edgeq_window", fields),
)

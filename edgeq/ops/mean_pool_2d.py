"""MeanPool2D: the mean of the codes themselves, as TensorFlow Lite's AVERAGE_POOL_2D has it.

Input and output share scale and zero point; only cells inside the map count; the quotient is
rounded half away from zero. AveragePool2D requantises, and may give the mean a finer scale.
"""

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
    Lowered,
    Op,
    Params,
    Pointer,
    Role,
    Site,
    activation_bounds,
    apply_activation,
    clamp_fields,
    no_accumulators,
    no_limit,
    no_macs,
    quant_of,
    shared_scale,
)
from edgeq.ops.window import output_size, window_fields, window_reach, windows

# A sum of n codes is divided by a product with ceil(2^31 / n): exact while 128.5 n^2 < 2^31.
FRACTION_BITS = 31
MOST_CELLS = 4087


@dataclass(frozen=True)
class MeanPool2D:
    """`padding` is (top, left, bottom, right), less than the kernel on each side."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    activation: str = "none"


def _result_shape(
    attrs: MeanPool2D, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    height, width, channels = inputs[0]
    if attrs.kernel[0] * attrs.kernel[1] > MOST_CELLS:
        raise ValueError(f"averages {attrs.kernel} cells; {MOST_CELLS} are the most")
    out = output_size((height, width), attrs.kernel, attrs.stride, attrs.padding)
    for axis, cells in enumerate(counts(attrs, (height, width), out)):
        if cells.min() < 1:
            raise ValueError(f"has windows on axis {axis} that lie in padding {attrs.padding} only")
    return (*out, channels)


def counts(attrs: MeanPool2D, size: tuple[int, int], out: tuple[int, ...]) -> tuple[Array, Array]:
    """How many rows, and columns, of each window lie inside the map."""

    def inside(axis: int) -> Array:
        start = np.arange(out[axis]) * attrs.stride[axis] - attrs.padding[axis]
        end = np.minimum(start + attrs.kernel[axis], size[axis])
        return np.asarray(end - np.maximum(start, 0))

    return inside(0), inside(1)


def _sums(attrs: MeanPool2D, x: Array) -> tuple[Array, Array]:
    """(sums (rows, out_h, out_w, channels), cells (out_h, out_w, 1))."""
    view = windows(x, attrs.kernel, attrs.stride, attrs.padding, 0)
    down, across = counts(attrs, (x.shape[1], x.shape[2]), view.shape[1:3])
    return view.sum(axis=(4, 5)), (down[:, None] * across)[:, :, None]


def _float_forward(attrs: MeanPool2D, x: tuple[Array, ...], params: Params) -> Array:
    sums, cells = _sums(attrs, x[0])
    return apply_activation(attrs.activation, np.asarray(sums / cells, np.float32))


def rounded_mean(attrs: MeanPool2D, x: Array) -> Array:
    """Of codes, int64."""
    sums, cells = _sums(attrs, x.astype(np.int64))
    return np.asarray(np.sign(sums) * ((np.abs(sums) + cells // 2) // cells))


def _reference(attrs: MeanPool2D, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    mean = rounded_mean(attrs, x[0])
    low, high = activation_bounds(attrs.activation, quant_of(io.output))
    return np.asarray(np.clip(mean, low, high), np.int8)


ROLES = (Role("reciprocal", "uint32"),)


def _lower(site: Site) -> Lowered:
    """2^31 / cells, rounded up, by how many rows and columns lie inside the map."""
    down, across = _counts_at(site)
    cells = np.arange(down.min(), down.max() + 1)[:, None] * np.arange(
        across.min(), across.max() + 1
    )
    return Lowered({"reciprocal": np.asarray(-(-(1 << FRACTION_BITS) // cells), np.uint32)}, {})


def _counts_at(site: Site) -> tuple[Array, Array]:
    height, width, _ = site.input_shape
    attrs: MeanPool2D = site.node.attrs
    return counts(attrs, (height, width), site.output_shape)


def fields(site: Site) -> Fields:
    """edgeq_mean_pool_2d_params."""
    down, across = _counts_at(site)
    attrs: MeanPool2D = site.node.attrs
    window = window_fields(site, attrs.kernel, attrs.padding, "window.")
    return (
        ("reciprocal", Pointer("reciprocal")),
        *window,
        ("least_rows", int(down.min())),
        ("least_columns", int(across.min())),
        ("columns", int(across.max() - across.min() + 1)),
        *clamp_fields(site),
    )


OP = Op(
    name="MeanPool2D",
    attrs=MeanPool2D,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: ROLES,
    scale=shared_scale,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=no_accumulators,  # at most 128 times MOST_CELLS
    reach=lambda own, _io, _params, axis: window_reach(own, own.kernel, axis, anew=True),
    memory=None,
    code=Call("MeanPool2D", "edgeq_mean_pool_2d_params", fields),
)

"""ResizeLinear: a map between its cells, each of four weighed by its distance in 1/1024 of a cell.

The integers are those of TensorFlow Lite Micro's RESIZE_BILINEAR; where each output lies is an
attribute, so that any way of counting coordinates is taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.fixed_point import rdp
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
    no_accumulators,
    no_limit,
    no_macs,
    shared_scale,
    whole_window,
)

FRACTION_BITS = 10
ONE = 1 << FRACTION_BITS
LARGEST_SIDE = 1 << 16


@dataclass(frozen=True)
class ResizeLinear:
    """Where each row (`down`) and column (`across`) of the output lies, in 1/1024 of a cell."""

    down: tuple[int, ...] = (0,)
    across: tuple[int, ...] = (0,)


def tflite_positions(given: int, made: int, align: bool, half: bool) -> tuple[int, ...]:
    """Positions of one axis as TensorFlow Lite Micro counts them (`align_corners`, and
    `half_pixel_centers`), held inside the map.
    """
    scale = (ONE * given + made // 2) // made
    if align and made > 1:
        scale = (ONE * (given - 1) + (made - 1) // 2) // (made - 1)
    first = scale // 2 - ONE // 2 if half else 0
    places = np.arange(made) * scale + first
    return tuple(int(n) for n in np.clip(places, 0, (given - 1) * ONE))


def _result_shape(
    attrs: ResizeLinear, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    shape = inputs[0]
    if len(shape) != 3:
        raise ValueError(f"ResizeLinear takes a map (H, W, C), got shape {shape}")
    for places, size in ((attrs.down, shape[0]), (attrs.across, shape[1])):
        inside = places and 0 <= min(places) <= max(places) <= (size - 1) * ONE
        if not inside or max(size, len(places)) > LARGEST_SIDE:
            raise ValueError(f"cannot resize {size} cells to {len(places)} at {places[:8]}")
    return len(attrs.down), len(attrs.across), shape[2]


def _weighed(attrs: ResizeLinear, x: Array) -> Array:
    """2^20 times the answer."""
    for axis, places in ((1, attrs.down), (2, attrs.across)):
        at = np.array(places)
        shape = [1] * x.ndim
        shape[axis] = len(at)
        share = (at % ONE).reshape(shape).astype(x.dtype)
        low, high = (np.take(x, n, axis) for n in (at // ONE, -(-at // ONE)))
        x = low * (ONE - share) + high * share
    return x


def _float_forward(attrs: ResizeLinear, x: tuple[Array, ...], params: Params) -> Array:
    return np.asarray(_weighed(attrs, x[0]) / ONE**2, x[0].dtype)


def _reference(attrs: ResizeLinear, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    made = _weighed(attrs, x[0].astype(np.int64))
    return rdp(made, np.array(2 * FRACTION_BITS)).astype(np.int8)


def _lower(site: Site) -> Lowered:
    attrs: ResizeLinear = site.node.attrs
    both = {"down": attrs.down, "across": attrs.across}
    return Lowered({name: np.array(places, np.int32) for name, places in both.items()}, {})


def _fields(site: Site) -> Fields:
    _, width, channels = site.input_shape
    height, across, _ = site.output_shape
    return (
        ("down", Pointer("down")),
        ("across", Pointer("across")),
        ("input_width", width),
        ("channels", channels),
        ("output_height", height),
        ("output_width", across),
    )


OP = Op(
    name="ResizeLinear",
    attrs=ResizeLinear,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: (Role("down", "int32"), Role("across", "int32")),
    scale=shared_scale,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=no_accumulators,  # at most 2^27
    reach=whole_window,
    memory=None,
    code=Call("ResizeLinear", "edgeq_resize_linear_params", _fields),
)

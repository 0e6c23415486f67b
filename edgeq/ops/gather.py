"""Gather: cells of an axis in any order, any of them several times."""

import math
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
    no_accumulators,
    no_limit,
    no_macs,
    shared_scale,
    whole_window,
)

MOST_PLACES = 1 << 16  # a place is a uint16 on the device


@dataclass(frozen=True)
class Gather:
    """The cells at `places` of an axis, which counts without the batch."""

    axis: int = 0
    places: tuple[int, ...] = (0,)


def _result_shape(
    attrs: Gather, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    shape, axis, places = inputs[0], attrs.axis, attrs.places
    if not 0 <= axis < len(shape):
        raise ValueError(f"{shape} has no axis {axis}")
    if not 0 < len(places) <= MOST_PLACES or not 0 <= min(places) <= max(places) < min(
        shape[axis], MOST_PLACES
    ):
        raise ValueError(f"it gathers {len(places)} places, {places[:8]}, of {shape[axis]}")
    return (*shape[:axis], len(places), *shape[axis + 1 :])


def _taken(attrs: Gather, x: Array) -> Array:
    return np.take(x, np.array(attrs.places), axis=attrs.axis + 1)


def _float_forward(attrs: Gather, x: tuple[Array, ...], params: Params) -> Array:
    return _taken(attrs, x[0])


def _reference(attrs: Gather, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    return _taken(attrs, x[0])


def _lower(site: Site) -> Lowered:
    return Lowered({"places": np.array(site.node.attrs.places, np.uint16)}, {})


def _fields(site: Site) -> Fields:
    axis: int = site.node.attrs.axis
    shape = site.input_shape
    return (
        ("places", Pointer("places")),
        ("outer", math.prod(shape[:axis])),
        ("cells", shape[axis]),
        ("count", len(site.node.attrs.places)),
        ("inner", math.prod(shape[axis + 1 :])),
    )


OP = Op(
    name="Gather",
    attrs=Gather,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: (Role("places", "uint16"),),
    scale=shared_scale,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=_lower,
    accumulators=no_accumulators,
    reach=whole_window,
    memory=None,
    code=Call("Gather", "edgeq_gather_params", _fields),
)

"""ArgMax over the last axis: the place of the largest value, as the number that it is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ir import Quant
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
    whole_window,
)

OUTPUT_QUANT = Quant((1.0,), -128)
MOST_PLACES = 256  # what the output's codes can say


@dataclass(frozen=True)
class ArgMax:
    """`last`: of equal values the last place, not the first. The axis stays, as one of 1."""

    last: bool = False


def _result_shape(
    attrs: ArgMax, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    *front, places = inputs[0]
    if places > MOST_PLACES:
        raise ValueError(f"ArgMax of {places} values; at most {MOST_PLACES}")
    return (*front, 1)


def _places(attrs: ArgMax, x: Array) -> Array:
    if not attrs.last:
        return np.asarray(np.argmax(x, axis=-1))[..., None]
    return np.asarray(x.shape[-1] - 1 - np.argmax(x[..., ::-1], axis=-1))[..., None]


def _float_forward(attrs: ArgMax, x: tuple[Array, ...], params: Params) -> Array:
    return _places(attrs, x[0]).astype(x[0].dtype)


def _reference(attrs: ArgMax, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    return (_places(attrs, x[0]) - 128).astype(np.int8)


def _fields(site: Site) -> Fields:
    *front, places = site.input_shape
    return (
        ("rows", math.prod(front)),
        ("places", places),
        ("last", int(site.node.attrs.last)),
    )


OP = Op(
    name="ArgMax",
    attrs=ArgMax,
    arity=1,
    dtypes=INT8,
    result_shape=_result_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=no_roles,
    scale=lambda _attrs, _io: OUTPUT_QUANT,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=no_constants,
    accumulators=no_accumulators,
    reach=whole_window,
    memory=None,
    code=Call("ArgMax", "edgeq_arg_max_params", _fields),
)

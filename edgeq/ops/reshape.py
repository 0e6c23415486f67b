"""Reshape: the same bytes under another shape (channels-last order)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.op import (
    NO_FUSION,
    NO_WIDENING,
    Absent,
    Array,
    Io,
    Op,
    Params,
    Reach,
    each_cell,
    no_accumulators,
    no_constants,
    no_limit,
    no_macs,
    no_roles,
    shared_scale,
    with_entry,
)


@dataclass(frozen=True)
class Reshape:
    shape: tuple[int, ...]


def _result_shape(
    attrs: Reshape, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    if np.prod(inputs[0]) != np.prod(attrs.shape):
        raise ValueError(f"cannot reshape {inputs[0]} to {attrs.shape}")
    return attrs.shape


def _float_forward(attrs: Reshape, x: tuple[Array, ...], params: Params) -> Array:
    return x[0].reshape(x[0].shape[0], *attrs.shape)


def _reference(attrs: Reshape, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    return x[0].reshape(x[0].shape[0], *attrs.shape)


def _reach(attrs: Reshape, io: Io, params: Params, axis: int) -> Reach | None:
    """Of a shape that keeps the axis, and those in front of it, where they are."""
    if each_cell(attrs, io, params, axis) is None:
        return None
    return Reach(lambda cells: Reshape(with_entry(attrs.shape, axis, cells)))


OP = Op(
    name="Reshape",
    attrs=Reshape,
    arity=1,
    dtypes=frozenset({"int8", "int16"}),
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
    reach=_reach,
    memory=None,
    code=Absent.ALIAS,
)

"""Delay by one row: each row gives the one before it, the first after a reset gives zeros."""

from dataclasses import dataclass

import numpy as np

from edgeq.ir import TensorType
from edgeq.ops.op import (
    NO_FUSION,
    NO_WIDENING,
    Array,
    Call,
    Fields,
    Io,
    Memory,
    Op,
    Params,
    Site,
    no_accumulators,
    no_constants,
    no_limit,
    no_macs,
    no_roles,
    quant_of,
    same_shape,
    shared_scale,
    whole_window,
)


@dataclass(frozen=True)
class Delay:
    pass


def _float_forward(attrs: Delay, x: tuple[Array, ...], params: Params) -> Array:
    """Rows are a sequence that begins after a reset."""
    return np.concatenate([np.zeros_like(x[0][:1]), x[0][:-1]])


def _kind(attrs: Delay, io: Io) -> TensorType:
    return io.inputs[0]


def _run(
    attrs: Delay, io: Io, x: tuple[Array, ...], params: Params, kept: Array
) -> tuple[Array, Array]:
    frames = np.concatenate([kept[None], x[0]])
    return frames[:-1], frames[-1]


def _reference(attrs: Delay, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    kind = io.inputs[0]
    return _run(attrs, io, x, params, np.full(kind.shape, quant_of(kind).zero_point, kind.dtype))[0]


def _fields(site: Site) -> Fields:
    return (("bytes", site.io.inputs[0].bytes),)


OP = Op(
    name="Delay",
    attrs=Delay,
    arity=1,
    dtypes=frozenset({"int8", "int16"}),
    result_shape=same_shape,
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
    reach=whole_window,
    memory=Memory(_kind, _run),
    code=Call("Delay", "edgeq_delay_params", _fields),
)

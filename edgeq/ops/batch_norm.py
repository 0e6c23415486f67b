"""BatchNorm at inference: a scale and an offset per channel. Float only: a pass folds it away."""

from dataclasses import dataclass

import numpy as np

from edgeq.ops.op import (
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Absent,
    Array,
    Io,
    Op,
    Params,
    Place,
    Role,
    each_cell,
    no_accumulators,
    no_constants,
    no_limit,
    no_macs,
    own_scale,
    same_shape,
)


@dataclass(frozen=True)
class BatchNorm:
    pass


def _float_forward(attrs: BatchNorm, x: tuple[Array, ...], params: Params) -> Array:
    """params: gain (channels,), offset (channels,)."""
    return np.asarray(x[0] * params["gain"] + params["offset"])


def _reference(attrs: BatchNorm, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    raise NotImplementedError("BatchNorm must be folded into the layer before it")


ROLES = (Role("gain", "float32", Place.GONE), Role("offset", "float32", Place.GONE))

OP = Op(
    name="BatchNorm",
    attrs=BatchNorm,
    arity=1,
    dtypes=INT8,
    result_shape=same_shape,
    float_forward=_float_forward,
    reference=_reference,
    macs=no_macs,
    roles=lambda _: ROLES,
    scale=own_scale,
    finest=no_limit,
    fuses=NO_FUSION,
    weight_axis=None,
    widens=NO_WIDENING,
    lower=no_constants,
    accumulators=no_accumulators,
    reach=each_cell,
    memory=None,
    code=Absent.FOLDED,
)

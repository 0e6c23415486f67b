"""BatchNorm at inference: a scale and an offset per channel. Float only: a pass folds it away."""

from dataclasses import dataclass

import numpy as np

from edgeq.ops.op import Array, Io, Op, Params, no_macs, same_shape


@dataclass(frozen=True)
class BatchNorm:
    pass


def _float_forward(attrs: BatchNorm, x: tuple[Array, ...], params: Params) -> Array:
    """params: gain (channels,), offset (channels,)."""
    return np.asarray(x[0] * params["gain"] + params["offset"])


def _reference(attrs: BatchNorm, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    raise NotImplementedError("BatchNorm must be folded into the layer before it")


OP = Op("BatchNorm", BatchNorm, same_shape, _float_forward, _reference, no_macs)

"""A standalone ReLU or ReLU6 that no neighbour could take in; input and output share the scale."""

from dataclasses import dataclass

import numpy as np

from edgeq.ops.op import (
    Array,
    Io,
    Op,
    Params,
    activation_bounds,
    apply_activation,
    no_macs,
    quant_of,
    same_shape,
)


@dataclass(frozen=True)
class Relu:
    activation: str = "relu"


def _float_forward(attrs: Relu, x: tuple[Array, ...], params: Params) -> Array:
    return apply_activation(attrs.activation, x[0])


def _reference(attrs: Relu, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    low, high = activation_bounds(attrs.activation, quant_of(io.output))
    return np.asarray(np.clip(x[0], low, high))


OP = Op("Relu", Relu, same_shape, _float_forward, _reference, no_macs)

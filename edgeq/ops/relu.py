"""A standalone ReLU or ReLU6 that no neighbour could take in; input and output share the scale."""

from dataclasses import dataclass

import numpy as np

from edgeq.ops.op import (
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Array,
    Call,
    Io,
    Op,
    Params,
    activation_bounds,
    apply_activation,
    clamp_fields,
    each_cell,
    no_accumulators,
    no_constants,
    no_limit,
    no_macs,
    no_roles,
    quant_of,
    same_shape,
    shared_scale,
)


@dataclass(frozen=True)
class Relu:
    activation: str = "relu"


def _float_forward(attrs: Relu, x: tuple[Array, ...], params: Params) -> Array:
    return apply_activation(attrs.activation, x[0])


def _reference(attrs: Relu, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    low, high = activation_bounds(attrs.activation, quant_of(io.output))
    return np.asarray(np.clip(x[0], low, high))


OP = Op(
    name="Relu",
    attrs=Relu,
    arity=1,
    dtypes=INT8,
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
    reach=each_cell,
    memory=None,
    code=Call(
        "Relu",
        "edgeq_relu_params",
        lambda site: (("size", site.output_size), *clamp_fields(site)),
    ),
)

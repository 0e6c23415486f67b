"""Add of two int8 tensors of one shape (a residual connection), as TensorFlow Lite adds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.fixed_point import multiply_by_quantized_multiplier, requantize
from edgeq.ops.op import (
    Array,
    Io,
    Op,
    Params,
    activation_bounds,
    apply_activation,
    no_macs,
    quant_of,
)

LEFT_SHIFT = 20  # headroom of the inputs before they are rescaled to a common scale


@dataclass(frozen=True)
class Add:
    activation: str = "none"


def _result_shape(
    attrs: Add, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    if inputs[0] != inputs[1]:
        raise ValueError(f"Add needs two tensors of one shape, got {inputs[0]} and {inputs[1]}")
    return inputs[0]


def _float_forward(attrs: Add, x: tuple[Array, ...], params: Params) -> Array:
    return apply_activation(attrs.activation, x[0] + x[1])


def _reference(attrs: Add, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    """params: multiplier, shift of shape (3,): first input, second input, output."""
    out, m, s = quant_of(io.output), params["multiplier"], params["shift"]
    total = np.zeros(x[0].shape, dtype=np.int64)
    for i in (0, 1):
        centred = x[i].astype(np.int64) - quant_of(io.inputs[i]).zero_point
        total += multiply_by_quantized_multiplier(centred << LEFT_SHIFT, m[i], s[i])
    low, high = activation_bounds(attrs.activation, out)
    return requantize(total, m[2], s[2], out.zero_point, low, high)


OP = Op("Add", Add, _result_shape, _float_forward, _reference, no_macs)

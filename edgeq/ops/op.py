"""What an op is: attributes, result shape, cost, a float forward and the integer reference.

Activations carry a leading row axis in numpy: shape (rows, *type.shape).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.ir import Quant, TensorType

Array = npt.NDArray[Any]
Params = Mapping[str, Array]

# The axis of a weight that counts the layer's outputs; scales and biases run along it.
WEIGHT_AXIS: Mapping[str, int] = {"FullyConnected": 0, "Conv2D": 0, "DepthwiseConv2D": 2}

# Packing tokens -> (lowest, highest) integer weight. s2 has the four odd levels -3, -1, 1, 3.
WEIGHT_RANGE: Mapping[str, tuple[int, int]] = {
    "s16": (-32767, 32767),
    "s8": (-127, 127),
    "s4": (-7, 7),
    "s3": (-3, 3),
    "s2": (-3, 3),
    "t2": (-1, 1),
    "b1": (-1, 1),
}


@dataclass(frozen=True)
class Io:
    """Types around one node: its inputs and its (first) output."""

    inputs: tuple[TensorType, ...]
    output: TensorType


@dataclass(frozen=True)
class Op:
    """One row of OPS. `macs` counts multiply-accumulates, padding included."""

    name: str
    attrs: type
    result_shape: Callable[[Any, tuple[tuple[int, ...], ...], Mapping[str, Any]], tuple[int, ...]]
    float_forward: Callable[[Any, tuple[Array, ...], Params], Array]
    reference: Callable[[Any, Io, tuple[Array, ...], Params], Array]
    macs: Callable[[Any, Io, Mapping[str, Any]], int]


def quant_of(t: TensorType) -> Quant:
    """Quantisation of a tensor that must have one."""
    if t.quant is None:
        raise ValueError("tensor is not quantised")
    return t.quant


def activation_bounds(activation: str, quant: Quant) -> tuple[int, int]:
    """int8 clamp of a fused activation ("none", "relu", "relu6")."""
    low, high = -128, 127
    if activation in ("relu", "relu6"):
        low = max(low, quant.zero_point)
    if activation == "relu6":
        high = min(high, quant.zero_point + round(6.0 / quant.per_tensor))
    return low, high


def apply_activation(activation: str, x: Array) -> Array:
    """The float side of a fused activation."""
    if activation == "relu":
        return np.maximum(x, 0)
    if activation == "relu6":
        return np.clip(x, 0, 6)
    return x


def no_macs(attrs: Any, io: Io, params: Mapping[str, Any]) -> int:
    return 0


def same_shape(
    attrs: Any, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    return inputs[0]


def flat_shape(
    attrs: Any, inputs: tuple[tuple[int, ...], ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    """The input's shape, which has one axis."""
    if len(inputs[0]) != 1:
        raise ValueError(f"takes flat features, got shape {inputs[0]}; put Flatten before it")
    return inputs[0]

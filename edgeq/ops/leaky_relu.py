"""LeakyReLU: x, below zero times `negative_slope`, rounded as TensorFlow Lite does."""

from dataclasses import dataclass

import numpy as np

from edgeq.ops.fixed_point import multiply_by_quantized_multiplier, quantize_multipliers
from edgeq.ops.lookup import lookup
from edgeq.ops.op import Array


@dataclass(frozen=True)
class LeakyRelu:
    negative_slope: float = 0.01


def _real(attrs: LeakyRelu, x: Array) -> Array:
    return np.where(x < 0, attrs.negative_slope * x, x)


def _steps(attrs: LeakyRelu, x: Array, scale_in: float, scale_out: float) -> Array:
    slopes = np.array([1, attrs.negative_slope], np.float32)
    multiplier, shift = quantize_multipliers(np.float32(scale_in) * slopes / np.float32(scale_out))
    below = (x < 0).astype(int)
    return multiply_by_quantized_multiplier(x, multiplier[below], shift[below])


OP = lookup(LeakyRelu, _real, _steps)

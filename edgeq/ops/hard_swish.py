"""HardSwish: x * min(max(x + 3, 0), 6) / 6 (arXiv 1905.02244), rounded as TensorFlow Lite does.

Its kernel works on int16: the input with 7 more bits, times a gate in Q15 that saturates.
"""

from dataclasses import dataclass

import numpy as np

from edgeq.ops.fixed_point import quantize_multiplier, rdp
from edgeq.ops.lookup import lookup
from edgeq.ops.op import Array

HEADROOM = 128
GATE_STEP = np.float32(3 / 32768)
LEAST = 1 / 127  # output scale in input scales: the product is shifted right only


@dataclass(frozen=True)
class HardSwish:
    pass


def _real(attrs: HardSwish, x: Array) -> Array:
    return np.asarray(x * np.clip(x + 3, 0, 6) / 6)


def _multiplier(real: np.float32) -> tuple[int, int]:
    """quantize_multiplier with 15 bits."""
    multiplier, shift = quantize_multiplier(float(real))
    return min((multiplier + (1 << 15)) >> 16, 32767), shift


def _high_mul(a: Array, b: int) -> Array:
    """gemmlowp's rounding doubling high multiply of int16; b is positive."""
    product = a * b
    return _divided(product + np.where(product >= 0, 1 << 14, 1 - (1 << 14)))


def _divided(x: Array) -> Array:
    """x / 2^15 towards zero, as C divides."""
    return np.asarray(np.sign(x) * (np.abs(x) >> 15))


def _saturated(x: Array) -> Array:
    return np.clip(x, -32768, 32767)


def _steps(attrs: HardSwish, x: Array, scale_in: float, scale_out: float) -> Array:
    fine = np.float32(scale_in) / np.float32(HEADROOM)
    x = x * HEADROOM
    multiplier, shift = _multiplier(fine / np.float32(scale_out))
    value = _high_mul(x, multiplier)
    gate_multiplier, left = _multiplier(fine / GATE_STEP)
    gate = _saturated(x << max(left - 1, 0))
    gate = _high_mul(gate, gate_multiplier)
    gate = _saturated(gate << 1) if left > 0 else rdp(gate, np.array(-left))
    gate = (gate + (1 << 15)) >> 1
    return rdp(_divided(gate * value), np.array(-shift))


OP = lookup(HardSwish, _real, _steps, LEAST)

"""Random and extreme operands for kernels, from a numpy generator."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.ir import Quant
from edgeq.ops.op import WEIGHT_RANGE

Array = npt.NDArray[Any]
FILLS = ("random", "low", "high", "ends")


def activations(rng: np.random.Generator, fill: str, shape: tuple[int, ...]) -> Array:
    """int8: uniform, all -128, all 127, or either end at random."""
    return _filled(rng, fill, shape, -128, 127).astype(np.int8)


def weights(rng: np.random.Generator, fill: str, shape: tuple[int, ...], token: str) -> Array:
    """Codes of a packing token; s2 and b1 have the odd levels only."""
    low, high = WEIGHT_RANGE[token]
    w = _filled(rng, fill, shape, low, high)
    if token in ("s2", "b1"):
        w = np.where(w % 2 == 0, w + 1, w)
    return w.astype(np.int16 if token == "s16" else np.int8)


def _filled(
    rng: np.random.Generator, fill: str, shape: tuple[int, ...], low: int, high: int
) -> Array:
    if fill == "random":
        return rng.integers(low, high + 1, shape)
    if fill == "ends":
        return np.where(rng.integers(0, 2, shape) == 1, high, low)
    return np.full(shape, low if fill == "low" else high)


def quant(rng: np.random.Generator, scale: float | None = None) -> Quant:
    """A zero point anywhere, its ends included."""
    zero = int(rng.choice([-128, 127, int(rng.integers(-128, 128))]))
    return Quant((float(rng.uniform(0.005, 0.2)) if scale is None else scale,), zero)


@dataclass(frozen=True)
class Requantization:
    bias: Array
    multiplier: Array
    shift: Array


def requantization(rng: np.random.Generator, weight_sums: Array, zero_point: int) -> Requantization:
    """Bias, multiplier and shift per channel, within what the exporter proves.

    weight_sums: sum |w| of each channel. |accumulator| < 2^31 and its left shift too.
    """
    reach = weight_sums.astype(np.int64) * max(127 - zero_point, 128 + zero_point)
    room = np.minimum(2**31 - 1 - reach, 2**20)
    bias = np.array([rng.integers(-r, r + 1) for r in room], dtype=np.int64)
    bits = np.ceil(np.log2(reach + np.abs(bias) + 2)).astype(np.int64)
    near = 8 - bits + rng.integers(-2, 3, bits.shape)  # outputs that use the int8 range
    shift = np.where(rng.random(bits.shape) < 0.8, near, rng.integers(-31, 31, bits.shape))
    shift = np.clip(np.minimum(shift, 31 - bits), -31, 30)
    multiplier = rng.integers(2**30, 2**31, bits.shape)
    multiplier[rng.random(bits.shape) < 0.1] = 2**31 - 1
    off = rng.random(bits.shape) < 0.05  # a scale too small to represent
    return Requantization(
        bias.astype(np.int32),
        np.where(off, 0, multiplier).astype(np.int32),
        np.where(off, 0, shift).astype(np.int32),
    )


def aimed(rng: np.random.Generator, sums: Array, zero_point: int, left: bool) -> Requantization:
    """Requantisation that loses next to nothing of accumulators that are `sums` without bias.

    The bias takes each to where its output lies inside int8, the shift is small (to the left too
    if `left`): a wrong product, a lost column or another rounding shows, where random ones are
    often saturated or divided away. zero_point: the output's.
    """
    right = int(rng.choice([-3, -1, 0, 0, 1] if left else [1, 1, 2, 2, 3]))
    shift = -right - rng.integers(0, 2, sums.shape) * rng.integers(0, 2)
    drawn = rng.integers(2**30, 2**31, sums.shape)
    exact = rng.choice([2**30, 2**31 - 1], sums.shape)
    multiplier = np.where(rng.random(sums.shape) < 0.4, exact, drawn)
    output = rng.uniform(-130, 129, sums.shape) - zero_point
    target = np.rint(output * 2.0**31 / multiplier / 2.0**shift).astype(np.int64)
    return Requantization(
        (target - sums).astype(np.int32), multiplier.astype(np.int32), shift.astype(np.int32)
    )

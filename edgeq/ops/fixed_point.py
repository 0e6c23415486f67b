"""The integer contract: every rounding edgeq does, once, in numpy. The C equals it bit for bit.

Requantisation is gemmlowp's double rounding (TensorFlow Lite Micro does the same). Reciprocal and
reciprocal square root are Newton iterations on unsigned integers, so nothing divides.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
AnyInt = npt.NDArray[Any]

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real = multiplier * 2^(shift - 31), multiplier in [2^30, 2^31).

    As TensorFlow Lite's QuantizeMultiplier: frexp, rounding half away from zero.
    Raises ValueError for negative, infinite or not-a-number input.
    """
    if not (math.isfinite(real) and real >= 0):
        raise ValueError(f"a multiplier must be finite and not negative, got {real}")
    if real == 0:
        return 0, 0
    mantissa, shift = math.frexp(real)
    fixed = math.floor(mantissa * 2**31 + 0.5)
    if fixed == 2**31:
        fixed, shift = fixed // 2, shift + 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return INT32_MAX, 30
    return fixed, shift


def quantize_multipliers(reals: npt.ArrayLike) -> tuple[Int32, Int32]:
    """quantize_multiplier for a whole vector: int32 multipliers and int32 shifts."""
    pairs = [quantize_multiplier(float(r)) for r in np.asarray(reals, dtype=np.float64).ravel()]
    multiplier = np.array([m for m, _ in pairs], dtype=np.int64)
    return multiplier.astype(np.int32), np.array([s for _, s in pairs], dtype=np.int32)


def srdhm(a: AnyInt, b: AnyInt) -> Int64:
    """Saturating rounding doubling high multiply: (a * b + 2^30) >> 31, ties upward.

    Only a = b = -2^31 would saturate; multipliers are positive, so it cannot happen here.
    """
    return (a.astype(np.int64) * np.asarray(b, dtype=np.int64) + (1 << 30)) >> 31


def rdp(x: AnyInt, exponent: AnyInt) -> Int64:
    """Rounding divide by 2^exponent, ties away from zero."""
    x = x.astype(np.int64)
    mask = (np.int64(1) << np.asarray(exponent, dtype=np.int64)) - 1
    threshold = (mask >> 1) + (x < 0)
    return np.asarray((x >> np.asarray(exponent, dtype=np.int64)) + ((x & mask) > threshold))


def multiply_by_quantized_multiplier(acc: AnyInt, multiplier: AnyInt, shift: AnyInt) -> Int64:
    """RDP(SRDHM(acc << left, multiplier), right) with left = max(shift, 0), right = max(-shift, 0).

    The left shift wraps to int32 on a device; `verify` proves that it never has to.
    """
    shift = np.asarray(shift, dtype=np.int64)
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    shifted = acc.astype(np.int64) << left
    if shifted.size and (shifted.max() > INT32_MAX or shifted.min() < INT32_MIN):
        raise OverflowError("accumulator leaves int32 before requantisation")
    return rdp(srdhm(shifted, multiplier), right)


def requantize(
    acc: AnyInt, multiplier: AnyInt, shift: AnyInt, zero_point: int, low: int, high: int
) -> npt.NDArray[np.int8]:
    """Accumulators to int8: clamp(zero_point + multiplied, low, high); channels come last."""
    y = multiply_by_quantized_multiplier(acc, multiplier, shift) + zero_point
    return np.clip(y, low, high).astype(np.int8)


def leading_zeros(x: AnyInt, width: int) -> Int64:
    """Leading zeros of unsigned integers of `width` bits (width itself for 0)."""
    x = x.astype(np.uint64)
    length = np.zeros(x.shape, dtype=np.int64)
    for step in (32, 16, 8, 4, 2, 1):
        big = x >= (np.uint64(1) << np.uint64(step))
        length += np.where(big, step, 0)
        x = np.where(big, x >> np.uint64(step), x)
    return width - (length + (x > 0))


# 2^30 / sqrt(d) at the middle of 24 intervals of d in [0.25, 1); the start of Newton's iteration.
RSQRT_TABLE = tuple(round(2**30 / math.sqrt((i + 8.5) / 32)) for i in range(24))


def rsqrt_q30(d: AnyInt) -> npt.NDArray[np.uint64]:
    """2^30 / sqrt(d / 2^32) for d in [2^30, 2^32): three Newton steps, error about 2^-27."""
    d = d.astype(np.uint64)
    r = np.array(RSQRT_TABLE, dtype=np.uint64)[((d >> np.uint64(27)) - np.uint64(8)).astype(int)]
    for _ in range(3):
        r2 = (r * r) >> np.uint64(32)
        error = np.uint64(3 << 28) - ((d * r2) >> np.uint64(32))
        r = (r * error) >> np.uint64(29)
    return np.asarray(r)


def reciprocal_q30(d: AnyInt) -> npt.NDArray[np.uint64]:
    """2^30 / (d / 2^32) for d in [2^31, 2^32): a line, then three Newton steps."""
    d = d.astype(np.uint64)
    r = np.uint64(RECIPROCAL_A) - ((d * np.uint64(RECIPROCAL_B)) >> np.uint64(32))
    for _ in range(3):
        error = np.uint64(1 << 31) - ((d * r) >> np.uint64(32))
        r = (r * error) >> np.uint64(30)
    return r


# 48/17 - 32/17 d: the line of least maximal error on [0.5, 1); in Q30.
RECIPROCAL_A = round(48 / 17 * 2**30)
RECIPROCAL_B = round(32 / 17 * 2**30)


def exp_table(scale: float) -> npt.NDArray[np.uint16]:
    """exp(-d * scale) in Q15 for d = 0..255: uint16 of shape (256,)."""
    return np.asarray(np.round(np.exp(-np.arange(256) * scale) * 2**15), np.uint16)


def softmax_q15(q: AnyInt, table: npt.NDArray[np.uint16]) -> Int64:
    """Softmax over the last axis of int8 logits, as Q15 integers (0..32768).

    `table` is exp_table(scale of q). At most 65,536 classes, so that the sum fits 32 bits.
    """
    q = q.astype(np.int64)
    e = table[q.max(axis=-1, keepdims=True) - q].astype(np.uint64)
    total = e.sum(axis=-1, keepdims=True)
    lz = leading_zeros(total, 32)
    r = reciprocal_q30(total << lz.astype(np.uint64))
    shift = (47 - lz).astype(np.uint64)
    p = (e * r + (np.uint64(1) << (shift - np.uint64(1)))) >> shift
    return np.asarray(np.minimum(p, np.uint64(1 << 15)), np.int64)

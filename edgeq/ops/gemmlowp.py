"""exp, log, 1 / (1 + x), 1 / sqrt(x), logistic and tanh on fixed-point numbers, step by step as
gemmlowp and TensorFlow Lite have them.

TensorFlow Lite Micro's SOFTMAX, LOG_SOFTMAX, LOGISTIC, TANH, RSQRT and L2_NORMALIZATION are made of
these. `srdhm` and `rdp` are the contract's own.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from edgeq.ops.fixed_point import (
    INT32_MAX,
    AnyInt,
    Int64,
    leading_zeros,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rdp,
    srdhm,
)

INTEGER_BITS = 5  # of a scaled difference of logits: Q5.26
FRACTION_BITS = 31 - INTEGER_BITS
SUM_BITS = 12  # integer bits of the sum of exponentials: Q12.19
MOST_CLASSES = 511  # with more, the last shift may pass 31, where gemmlowp's is not defined

_EXP_EIGHTH, _THIRD = 1895147668, 715827883  # exp(-1/8) and 1/3 in Q0.31
_POWERS = (  # exponent e -> exp(-2^e) in Q0.31
    *((-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535)),
    *((3, 720401), (4, 242)),
)
C48_17, C32_17 = 1515870810, -1010580540  # 48/17 and -32/17 in Q2.29


def _times(a: AnyInt, b: object) -> Int64:
    return srdhm(np.asarray(a), np.asarray(b))


def exp_of_negative(a: AnyInt, integer_bits: int = INTEGER_BITS) -> Int64:
    """exp(a) in Q0.31 for a <= 0 with so many integer bits, 5 or 4; 2^31 - 1 at 0."""
    a, fraction_bits = a.astype(np.int64), 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    part = (a & (quarter - 1)) - quarter
    remainder = part - a
    x = (part << integer_bits) + (1 << 28)  # a Taylor series around -1/8
    x2 = _times(x, x)
    x3, x4 = _times(x2, x), _times(x2, x2)
    series = rdp(_times(rdp(x4, np.array(2)) + x3, _THIRD) + x2, np.array(1))
    result = _EXP_EIGHTH + _times(x + series, _EXP_EIGHTH)
    for exponent, factor in _POWERS[: integer_bits + 2]:
        has = (remainder & (1 << (fraction_bits + exponent))) != 0
        result = np.where(has, _times(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def exp_q31_table(scale: float) -> npt.NDArray[np.int32]:
    """exp(-d * scale) in Q0.31 for d = 0..255, 0 where TensorFlow Lite Micro skips it: int32."""
    real = min(scale * (1 << FRACTION_BITS), 2.0**31 - 1)
    multiplier, shift = quantize_multiplier(real)
    d = -np.arange(256, dtype=np.int64)
    if shift < 0:  # steps so fine that it would abort: every class has the same probability
        return np.full(256, INT32_MAX, np.int32)
    least = -(((1 << INTEGER_BITS) - 1) * (1 << FRACTION_BITS) // (1 << shift))
    seen = d >= least
    scaled = _times(np.where(seen, d, 0) << shift, multiplier)
    return np.where(seen, exp_of_negative(scaled), 0).astype(np.int32)


def reciprocal_q31(total: AnyInt) -> tuple[Int64, Int64]:
    """(r, headroom) of a total in Q12.19, at least 1: 1 / total = r / 2^(43 - headroom).

    `headroom` counts the leading zeros of the sum's 32 bits.
    """
    headroom = leading_zeros(total, 32)
    fraction = (total.astype(np.int64) << headroom) - (1 << 31)  # of the sum as 1 + fraction
    return _saturated(_reciprocal(fraction) << 1), headroom


def _reciprocal(fraction: Int64) -> Int64:
    """2 / (1 + fraction) in Q2.29, of a fraction in Q0.31."""
    half = (fraction + INT32_MAX + 1) // 2  # gemmlowp's rounding half sum with its largest Q0.31
    x = C48_17 + _times(half, C32_17)
    for _ in range(3):  # Newton's iteration
        error = (1 << 29) - _times(half, x)
        x = x + _saturated(_times(x, error) << 2)
    return x


def logistic(a: AnyInt) -> Int64:
    """1 / (1 + exp(-a)) in Q0.31, of a in Q4.27."""
    positive = _saturated(_reciprocal(exp_of_negative(-np.abs(a), 4)) << 1)
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, INT32_MAX - positive))


def tanh(a: AnyInt) -> Int64:
    """tanh(a) in Q0.31, of a in Q4.27."""
    e = exp_of_negative(-np.abs(a), 5)  # twice as large, its point one further right
    size = _saturated((_reciprocal(e) - (1 << 29)) << 2)
    return np.sign(a) * size


def on_q4_27(steps: AnyInt, scale: float, form: Callable[[AnyInt], Int64], bits: int) -> Int64:
    """`form` of steps * scale as int8 LOGISTIC and TANH have it: Q0.31 rounded to `bits` bits.

    It saturates to -2^bits or 2^bits somewhere from 7.5 to 15, as there.
    """
    multiplier, shift = quantize_multiplier(scale * (1 << 27))
    radius = math.floor(15 * 2.0 ** (27 - shift))
    inside = np.clip(steps, -radius, radius)
    inside = np.where(np.abs(steps) >= radius, 0, inside)
    scaled = multiply_by_quantized_multiplier(inside, np.array(multiplier), np.array(shift))
    y = rdp(form(scaled), np.array(31 - bits))
    return np.where(np.abs(steps) >= radius, np.sign(steps) << bits, y)


def difference_q26(scale: float) -> tuple[int, int]:
    """(multiplier, left shift) of a difference of logits into Q5.26; 0 for steps that are finer
    than 2^-26, where TensorFlow Lite Micro would abort.
    """
    multiplier, shift = quantize_multiplier(min(scale * (1 << FRACTION_BITS), 2.0**31 - 1))
    return (multiplier, shift) if shift >= 0 else (0, 0)


LOG_OF_2, SQRT_HALF, ROOT_4_HALF = 1488522236, 1518500250, 1805811301  # Q0.31
LOG_N, LOG_D, LOG_I, LOG_F = 117049297, 127690142, 1057819769, 638450708  # of its fraction, Q0.31


def log_q26(total: AnyInt) -> Int64:
    """ln of a total in Q12.19, at least 1, in Q5.26: a fraction of polynomials around 2^-1/4."""
    total = total.astype(np.int64)
    zeros = leading_zeros(total, 32)
    first = _times(total << (zeros - 1), SQRT_HALF) << 1
    second_zeros = leading_zeros(_times(total, SQRT_HALF), 32)
    second = total << (second_zeros - 1)
    r = np.minimum(np.minimum(first, second), INT32_MAX)
    quarter = 1 << 23  # in Q6.25
    whole = np.maximum(
        ((SUM_BITS - zeros) << 25) + quarter, ((SUM_BITS + 1 - second_zeros) << 25) - quarter
    )
    p, q = (r + ROOT_4_HALF + 1) >> 1, (r - ROOT_4_HALF) << 1
    square = _times(q, q)
    above = _times(q, r) + _times(_times(q, square), LOG_N)
    below = _times(p, LOG_I + q + _times(square, LOG_D)) + _times(q, LOG_F)
    share = _times(rdp(above, np.array(6)), _saturated(_reciprocal(below) << 1))
    return _saturated((_times(whole, LOG_OF_2) + share) << 1)


HALF_SQRT_2 = 1518500250  # in Q0.31


def inverse_root(value: AnyInt) -> tuple[Int64, Int64]:
    """(multiplier, left shift) of 1 / sqrt(value), of values from 1 to 2^31 - 1."""
    value = value.astype(np.int64)
    pairs = (leading_zeros(value, 32) - 1) // 2  # of zeros, less one: 2^27 to 2^29 without them
    given = (value << 2 * pairs) >> 3  # in Q3.28, as x
    half = (given + 1) >> 1  # as gemmlowp halves: ties away from zero
    x = np.full(value.shape, 1 << 28, np.int64)
    for _ in range(5):  # Newton's iteration, x (3 - given x^2) / 2
        cubed = _times(_times(x, x), x) << 6
        x = (_times(x, 3 << 27) - _times(half, cubed)) << 3
    return _times(x, HALF_SQRT_2), pairs - 12


def softmax_q31(q: AnyInt, table: AnyInt) -> Int64:
    """Softmax over the last axis of int8 logits in steps of 1/256, 0..256. `table`: exp_q31_table.

    At most `MOST_CLASSES` classes, so that the sum fits.
    """
    q = q.astype(np.int64)
    e = table.astype(np.int64)[q.max(axis=-1, keepdims=True) - q]
    r, headroom = reciprocal_q31(rdp(e, np.array(SUM_BITS)).sum(axis=-1, keepdims=True))
    return rdp(_times(e, r), SUM_BITS + 31 - 8 - headroom)


def _saturated(x: Int64) -> Int64:
    return np.clip(x, -(2**31), INT32_MAX)

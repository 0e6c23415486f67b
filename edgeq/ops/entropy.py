"""Entropy of the softmax of int8 logits, in integers: no logarithm runs on the device.

With d_i the steps that logit i lies below the largest, s the logits' scale and S = sum exp(-s d_i):
H = ln S + s sum p_i d_i, in nats. ln S comes from a table of 66 numbers, read between its points.
"""

import math
from collections.abc import Mapping

import numpy as np

from edgeq.ops.fixed_point import (
    Int64,
    exp_table,
    leading_zeros,
    multiply_by_quantized_multiplier,
    quantize_multipliers,
    reciprocal_q30,
    softmax_q15,
)
from edgeq.ops.op import Array, Params

FRACTION_BITS = 16
LN_2 = round(math.log(2) * 2**FRACTION_BITS)
# ln(1 + i / 64); one point more than a reciprocal of 2 needs, whose fraction is 0
LN_TABLE = tuple(round(math.log1p(i / 64) * 2**FRACTION_BITS) for i in range(66))


def entropy(logits: Array, params: Params) -> Int64:
    """(rows,) nats in Q16 of int8 logits (rows, classes). params: exp_table, multiplier, shift."""
    q = logits.reshape(len(logits), -1).astype(np.int64)
    table = params["exp_table"].astype(np.uint16)
    below = q.max(axis=1, keepdims=True) - q
    mean_below = (softmax_q15(q, table) * below).sum(axis=1)
    scaled = multiply_by_quantized_multiplier(mean_below, params["multiplier"], params["shift"])
    total = table[below].astype(np.uint64).sum(axis=1)
    return np.asarray(np.maximum(_ln_sum(total) + scaled, 0))


def _ln_sum(total: Array) -> Int64:
    """ln(total / 2^15) in Q16, by the logarithm of the reciprocal that the softmax has."""
    zeros = leading_zeros(total, 32)
    r = reciprocal_q30(total << zeros.astype(np.uint64)).astype(np.int64)
    at, fraction = (r >> 24) - 64, (r >> 8) & 0xFFFF
    points = np.array(LN_TABLE, np.int64)
    ln_r = points[at] + (((points[at + 1] - points[at]) * fraction) >> 16)
    return np.asarray((17 - zeros) * LN_2 - ln_r)


def lower(scale: float, _heads: int) -> Mapping[str, Array]:
    """The constants, from the logits' scale: Q15 probabilities times steps become nats in Q16."""
    multiplier, shift = quantize_multipliers([scale * 2.0 ** (FRACTION_BITS - 15)])
    return {"exp_table": exp_table(scale), "multiplier": multiplier, "shift": shift}


def real_entropy(logits: Array) -> Array:
    """The same of real logits (rows, classes), in nats."""
    flat = logits.reshape(len(logits), -1).astype(np.float64)
    e = np.exp(flat - flat.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return np.asarray(-(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1))


def step(scale: float) -> int:
    """What a step of one logit moves: |dH/dl_i| = p_i |ln p_i + H|, about a half at most."""
    return max(1, math.ceil(scale * (1 << FRACTION_BITS - 1)))

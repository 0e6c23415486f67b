"""Two tests of difference, in numpy alone: Brown-Forsythe on spreads, McNemar on right answers.

scipy is the oracle of both in the tests; the default install does not need it.
"""

import math
from dataclasses import dataclass

import numpy as np

from edgeq.ops.op import Array

TINY = 1e-300  # keeps a continued fraction off a division by zero


@dataclass(frozen=True)
class Outcome:
    """A statistic and the probability of one at least as extreme where there is no difference."""

    statistic: float | None
    p: float


def brown_forsythe(a: Array, b: Array) -> Outcome:
    """Whether `a` and `b` spread differently about their medians (Brown and Forsythe 1974).

    The F test of one factor on |x - median|, with 1 and n - 2 degrees of freedom. The statistic is
    None where neither spreads within itself: p is then 1 if their distances agree, else 0.
    """
    groups = [np.abs(x - np.median(x)) for x in (a, b)]
    means = [float(g.mean()) for g in groups]
    whole = float(np.concatenate(groups).mean())
    between = sum(len(g) * (m - whole) ** 2 for g, m in zip(groups, means, strict=True))
    within = sum(float(((g - m) ** 2).sum()) for g, m in zip(groups, means, strict=True))
    degrees = len(a) + len(b) - 2
    if degrees < 1 or within == 0:
        return Outcome(None, 1.0 if between == 0 else 0.0)
    f = between * degrees / within
    return Outcome(f, incomplete_beta(degrees / 2, 0.5, degrees / (degrees + f)))


def mcnemar(only_a: int, only_b: int) -> Outcome:
    """Exact McNemar: whether inputs that only one side gets right split evenly. Two-sided.

    >>> mcnemar(2, 10)
    Outcome(statistic=2.0, p=0.03857421875)
    """
    n, few = only_a + only_b, min(only_a, only_b)
    tail = term = 1
    for k in range(few):
        term = term * (n - k) // (k + 1)  # whole numbers: n choose k + 1
        tail += term
    return Outcome(float(few), min(1.0, 2 * tail / 2**n))


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised I_x(a, b), for a, b > 0 and x in 0..1 (DLMF 8.17.22, Lentz's method)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on this side only
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x)) / a
    return front / _beta_fraction(a, b, x)


def _beta_fraction(a: float, b: float, x: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)) of DLMF 8.17.22."""
    value = c = 1.0
    d = 0.0
    for n in range(1, 1_000):
        m = n // 2
        if n % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / (1.0 + term * d or TINY)
        c = 1.0 + term / c or TINY
        value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return value

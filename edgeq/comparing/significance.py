"""Two tests of difference, of scipy: Brown-Forsythe on spreads, McNemar on right answers."""

import math
from dataclasses import dataclass

import numpy as np

from edgeq.ops.op import Array


@dataclass(frozen=True)
class Outcome:
    """A statistic and the probability of one at least as extreme where there is no difference."""

    statistic: float | None
    p: float


def brown_forsythe(a: Array, b: Array) -> Outcome:
    """Whether `a` and `b` spread differently about their medians (Brown and Forsythe 1974).

    Levene's test with the median as the centre. The statistic is None where neither spreads within
    itself, where scipy divides by zero: p is then 1 if their distances agree, else 0.
    """
    from scipy.stats import levene  # takes half a second: only who compares waits for it

    with np.errstate(divide="ignore", invalid="ignore"):
        found = levene(a, b, center="median")
    statistic = float(found.statistic)
    if math.isfinite(statistic):
        return Outcome(statistic, float(found.pvalue))
    return Outcome(None, 1.0 if math.isnan(statistic) else 0.0)


def mcnemar(only_a: int, only_b: int) -> Outcome:
    """Exact McNemar: whether inputs that only one side gets right split evenly. Two-sided.

    >>> mcnemar(2, 10)
    Outcome(statistic=2.0, p=0.03857421875)
    """
    from scipy.stats import binomtest

    few, n = min(only_a, only_b), only_a + only_b
    return Outcome(float(few), float(binomtest(few, n).pvalue) if n else 1.0)

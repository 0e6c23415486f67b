"""Where a cheap answer is good enough: thresholds by quantile, by budget, or by a promise."""

from edgeq.thresholds.choose import Choice, Kept, by_budget, by_quantile, by_risk
from edgeq.thresholds.risk import Promise, upper_bound
from edgeq.thresholds.stages import Stages, steps_of

__all__ = [
    "Choice",
    "Kept",
    "Promise",
    "Stages",
    "by_budget",
    "by_quantile",
    "by_risk",
    "steps_of",
    "upper_bound",
]

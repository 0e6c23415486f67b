"""Weaker curiosity for a budget: the same rule with less alpha, or fewer rows that escalate."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from edgeq.ops.mixture import Mixture
from edgeq.ops.router import Router
from edgeq.passes.freeze_router import Observed, routes_under

STEPS = 64


def weaker_routers(router: Router) -> tuple[Router, ...]:
    """The router as it is, then weaker and weaker in equal steps, down to no curiosity at all.

    precision_prior: alpha down to 0; escalation: the quantile up to 1. "off" has no other.
    """
    parts = [(STEPS - i) / STEPS for i in range(STEPS + 1)]
    if router.rule == "precision_prior":
        return tuple(replace(router, alpha=router.alpha * part) for part in parts)
    if router.rule == "escalation":
        return tuple(replace(router, quantile=1 - (1 - router.quantile) * part) for part in parts)
    return (router,)


def mean_cycles(
    attrs: Mixture, seen: Observed, router: Router, cycles: Mapping[tuple[int, ...], float]
) -> float:
    """Mean cycles over the rows that were seen, if `router` chose; `cycles` by set of experts."""
    chosen = routes_under(replace(attrs, router=router), seen)
    counts = Counter(tuple(sorted(row)) for row in chosen.tolist())
    total = sum(Fraction(cycles[experts]) * count for experts, count in counts.items())
    return float(total / len(chosen))

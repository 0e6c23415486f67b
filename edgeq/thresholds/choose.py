"""Thresholds three ways: by quantile, by what a mean row may cost, by what may go wrong."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeq.errors import BadInput
from edgeq.thresholds.risk import Promise, upper_bound
from edgeq.thresholds.stages import Stages, Thresholds

SEED = 0


@dataclass(frozen=True)
class Kept:
    """A promise and what proved it: `disagreements` among `tested` rows, hence `bound` at most."""

    promise: Promise
    tested: int
    disagreements: int
    bound: float


@dataclass(frozen=True)
class Choice:
    """Thresholds and what they did to the rows: shares by answering stage, mean cost, rate of
    answers other than the last stage's.
    """

    thresholds: Thresholds
    rows: int
    shares: tuple[float, ...]
    mean_cost: float
    disagreement: float
    kept: Kept | None = None


def described(stages: Stages, thresholds: Thresholds, kept: Kept | None = None) -> Choice:
    """What these thresholds do to the rows."""
    return Choice(
        thresholds,
        stages.rows,
        stages.shares(thresholds),
        stages.mean_cost(thresholds),
        stages.disagreements(thresholds) / stages.rows,
        kept,
    )


def by_quantile(stages: Stages, quantile: float) -> Choice:
    """Of the rows that reach a stage, this part is answered there (the largest such that exists).

    A row of the quantile itself stops.
    """
    if not 0 <= quantile <= 1:
        raise BadInput(f"a quantile lies in [0, 1], got {quantile:g}")
    left, thresholds = np.ones(stages.rows, bool), list[int]()
    for column, low in zip(stages.doubts.T, stages.lowest, strict=True):
        seen = np.sort(column[left])
        at = int(np.floor(quantile * len(seen) + 1e-9)) - 1
        thresholds.append(int(seen[at]) if at >= 0 else low - 1)
        left &= column > thresholds[-1]
    return described(stages, tuple(thresholds))


def by_budget(stages: Stages, steps: Sequence[Thresholds], most: float) -> Choice | None:
    """The safest of `steps` (they rise) whose mean cost is at most `most`; None when none is."""
    within = (step for step in steps if stages.mean_cost(step) <= most * (1 + 1e-9))
    found = next(within, None)
    return None if found is None else described(stages, found)


def by_risk(stages: Stages, steps: Sequence[Thresholds], promise: Promise) -> Choice:
    """The cheapest of `steps` that disagrees with the last stage as rarely as promised.

    Learn-then-Test with fixed-sequence testing (Angelopoulos et al., arXiv 2110.01052): the steps
    are tested from the safest on, each with the exact binomial test, until one fails. So the chance
    that any step beyond the limit is among those that passed, hence that a wrong one is chosen, is
    at most 1 - confidence, however many steps there are. The order must not come from the
    disagreements; steps of two stages may come from these rows, as their risk only rises.

    Raises BadInput with the number of rows needed when there are too few, and with what was found
    when not even the first step passes (one that always asks the last stage does).
    """
    most, tested = promise.tight(stages.rows)
    drawn = np.random.default_rng(SEED).permutation(stages.rows)[:tested]
    sample = stages.part(drawn)
    passed = []
    for step in steps:
        if sample.disagreements(step) > most:
            break
        passed.append(step)
    if not passed:
        raise BadInput(
            f"even the safest threshold disagrees on {sample.disagreements(steps[0])} of {tested} "
            f"rows, {most} may; allow more disagreement, or train the experts longer"
        )
    best = min(passed, key=stages.mean_cost)
    found = sample.disagreements(best)
    bound = upper_bound(found, tested, promise.confidence)
    return described(stages, best, Kept(promise, tested, found, bound))

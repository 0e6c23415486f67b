"""Populations of doubts (0 to 255, as the gap of two int8 logits) with a known disagreement."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeq.ops.op import Array
from edgeq.thresholds import Stages

LEVELS = np.arange(256)
COSTS = (1.0, 4.0)  # of the first stage alone, of both


@dataclass(frozen=True)
class Population:
    """`weight` (256,) of each doubt, `rate` (256,) of disagreement at it."""

    weight: Array
    rate: Array

    def risk(self, threshold: int) -> float:
        """The true rate of answers other than the last stage's."""
        return float((self.weight * self.rate)[: threshold + 1].sum())

    def saving(self, threshold: int) -> float:
        """The true mean cost that is saved against always going on."""
        return float(self.weight[: threshold + 1].sum()) * (COSTS[1] - COSTS[0])

    def best(self, limit: float) -> int:
        """The optimum, which knows the population: the last threshold within the limit."""
        return max((t for t in range(-1, 256) if self.risk(t) <= limit), default=-1)

    def draw(self, rows: int, rng: np.random.Generator) -> Stages:
        """Independent rows."""
        doubts = rng.choice(256, rows, p=self.weight)
        differs = np.zeros((rows, 2), bool)
        differs[:, 0] = rng.random(rows) < self.rate[doubts]
        return Stages(doubts[:, None], differs, np.tile(COSTS, (rows, 1)), (0,))


def _population(density: Callable[[Array], Array], rate: Callable[[Array], Array]) -> Population:
    x = LEVELS / 255
    weight = density(x)
    return Population(weight / weight.sum(), np.clip(rate(x), 0, 1))


def _few(x: Array) -> Array:
    """Most rows are sure."""
    return np.exp(-3 * x)


SHAPES = {
    "a step": _population(_few, lambda x: 0.6 / (1 + np.exp(-14 * (x - 0.5)))),
    "a slope": _population(_few, lambda x: 0.35 * x),
    "sure and wrong": _population(_few, lambda x: np.where(x > 0.6, 0.4, 0.012)),
    "knows nothing": _population(_few, lambda x: np.full_like(x, 0.08)),
    "the wrong way round": _population(_few, lambda x: 0.15 * (1 - x)),
    "seven values": _population(
        lambda x: np.where(LEVELS % 40 == 0, _few(x), 0), lambda x: 0.25 * x**2
    ),
    "just above the limit": _population(_few, lambda x: np.full_like(x, 0.0205)),
}

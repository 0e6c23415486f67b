"""What a cascade would do, from the stored answers of its networks: outcome, cost, intervals.

A cascade runs no network that did not run alone: on a row its answer is that of one of its
networks, its cost the sum of those that ran. So every threshold can be judged without a flash.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeq.ops.op import Array

CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 0


def gap(logits: Array) -> Array:
    """The largest less the second largest of integer logits (..., class), as the device has it."""
    top = np.sort(logits.astype(np.int64), axis=-1)
    return np.asarray(top[..., -1] - top[..., -2])


def probabilities(logits: Array, scale: float) -> Array:
    """Softmax over the last axis of integer logits times their scale."""
    real = (logits.astype(np.float64) - logits.max(-1, keepdims=True)) * scale
    p = np.exp(real)
    return np.asarray(p / p.sum(-1, keepdims=True))


def entropy(p: Array) -> Array:
    """Of probabilities (..., class), in nats."""
    return np.asarray(-(p * np.log(np.maximum(p, np.finfo(np.float64).tiny))).sum(-1))


def limit_for(signal: Array, share: float) -> int:
    """The threshold below which that share of the signals (row,) lies, at most."""
    count = int(np.floor(share * len(signal)))
    ordered = np.sort(signal)
    return int(ordered[count]) if count < len(ordered) else int(ordered[-1]) + 1


@dataclass(frozen=True)
class Outcome:
    """Of each row: whether the cascade was `right` and whether it `went_on`."""

    right: Array
    went_on: Array

    @classmethod
    def of(cls, cheap: Array, precise: Array, y: Array, limit: int) -> "Outcome":
        """`cheap` answers where its gap is `limit` or more. Logits (row, class), labels (row,)."""
        went_on = gap(cheap) < limit
        answer = np.where(went_on, precise.argmax(-1), cheap.argmax(-1))
        return cls(answer == y, went_on)

    def cost(self, cheap: float, precise: float, signal: float) -> Array:
        """Of each row, in the unit of the costs of one inference."""
        return np.asarray(cheap + signal + precise * self.went_on)


def draws(cluster: Array, resamples: int = RESAMPLES, seed: int = SEED) -> Array:
    """How often each row (row,) counts in every resample of whole clusters: (resample, row)."""
    names, of_row = np.unique(cluster, return_inverse=True)
    rng = np.random.default_rng(seed)
    shares = np.full(len(names), 1.0 / len(names))
    return np.asarray(rng.multinomial(len(names), shares, resamples)[:, of_row])


def means(values: Array, weights: Array) -> Array:
    """Weighted means of (row, ...) under each resample of `draws`: (resample, ...)."""
    flat = weights @ values.reshape(len(values), -1)
    flat = flat / weights.sum(1, keepdims=True)
    return np.asarray(flat.reshape(len(weights), *values.shape[1:]))


def interval(drawn: Array, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The central part of a statistic's resamples, by default 95 %."""
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(drawn, (tail, 1.0 - tail))
    return float(low), float(high)


def front_cost(accuracy: Array, cost: Array, at: float) -> float:
    """The cost of accuracy `at` on the front of single networks (network,): the lower convex hull
    of their points, as running one network on a part of the inputs and another on the rest costs.

    Below the cheapest point its cost, above the most accurate that one's.
    """
    hull = list[tuple[float, float]]()
    for a, c in sorted(zip(accuracy.tolist(), cost.tolist(), strict=True), key=lambda p: p[::-1]):
        if hull and a <= hull[-1][0]:
            continue  # dearer and no better
        while len(hull) > 1 and _above(hull[-2], hull[-1], (a, c)):
            hull.pop()
        hull.append((a, c))
    return float(np.interp(at, [a for a, _ in hull], [c for _, c in hull]))


def _above(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether b lies on or above the line from a to c."""
    return (b[1] - a[1]) * (c[0] - a[0]) >= (c[1] - a[1]) * (b[0] - a[0])


@dataclass(frozen=True)
class Ranked:
    """An AUROC: the chance that a wrong answer has the larger doubt than a right one."""

    value: float
    interval: tuple[float, float]
    wrong: int
    rows: int


def auroc(
    doubt: Mapping[str, Array], wrong: Mapping[str, Array], weights: Mapping[str, Array]
) -> Ranked:
    """Doubt (row,) against error, pairs taken inside a group only: models have their own scales.

    `weights` are the `draws` (resample, row) of each group's rows. Ties count one half.
    """
    over = total = np.zeros(1 + len(next(iter(weights.values()))))
    for group, values in doubt.items():
        bad, good = values[wrong[group]], values[~wrong[group]]
        beats = (bad[:, None] > good) + 0.5 * (bad[:, None] == good)
        w = np.vstack([np.ones(len(values)), weights[group]])
        of_bad, of_good = w[:, wrong[group]], w[:, ~wrong[group]]
        over = over + np.einsum("rb,bg,rg->r", of_bad, beats, of_good, optimize=True)
        total = total + of_bad.sum(1) * of_good.sum(1)
    counts = sum(int(w.sum()) for w in wrong.values()), sum(map(len, wrong.values()))
    return Ranked(float(over[0] / total[0]), interval(over[1:] / total[1:]), *counts)

"""Does a signal know of errors? Doubts from outputs, AUROC, bootstraps over clusters of rows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgeq.ops.op import Array
from edgeq.thresholds.risk import ends_of_few

CONFIDENCE = 0.95
RESAMPLES = 1_000
FEW = 5  # units that differ: of fewer a bootstrap is too sure of the lower end
SEED = 0
DRAWN_AT_ONCE = 2**21  # values held in memory
Ends = tuple[float, float]
DOUBTS = ("gap", "entropy", "1 - p_max")  # what an answer's own outputs say


def doubts_of(logits: Array) -> dict[str, Array]:
    """What an answer's own outputs (rows, classes) say of it, larger where it is less sure (rows,).

    "gap": second largest less largest logit; "entropy" and "1 - p_max" of their softmax.
    """
    ordered = np.sort(logits.astype(np.float64), axis=1)
    gap = ordered[:, -2] - ordered[:, -1]
    e = np.exp(logits - ordered[:, -1:])
    p = e / e.sum(axis=1, keepdims=True)
    entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(axis=1)
    return dict(zip(DOUBTS, (gap, entropy, 1 - p.max(axis=1)), strict=True))


@dataclass(frozen=True)
class Clusters:
    """Which of `count` independent sources each row comes from: (rows,) in 0..count-1."""

    of: Array
    count: int

    @classmethod
    def read(cls, groups: Array | None, rows: int) -> "Clusters":
        """From a name or number a row; without any, every row is one of its own."""
        if groups is None:
            return cls(np.arange(rows), rows)
        names, of = np.unique(groups, return_inverse=True)
        return cls(of.reshape(-1), len(names))

    def weights(self, resamples: int = RESAMPLES, seed: int = SEED) -> Iterator[Array]:
        """How often each row was drawn: blocks (some resamples, rows), the same for one seed."""
        rng, left = np.random.default_rng(seed), resamples
        even = np.full(self.count, 1 / self.count)
        while left:
            some = min(left, max(1, DRAWN_AT_ONCE // max(self.count, len(self.of))))
            yield rng.multinomial(self.count, even, size=some)[:, self.of]
            left -= some

    def interval(self, numerator: Array, denominator: Array | None = None) -> Ends | None:
        """The central 95 % of the mean of `numerator` (rows,), or of a ratio of means.

        None where a resample has no denominator.
        """
        below = np.ones(len(numerator)) if denominator is None else denominator
        pairs = [(w @ numerator, w @ below) for w in self.weights()]
        tops, bottoms = (np.concatenate(each) for each in zip(*pairs, strict=True))
        return None if (bottoms == 0).any() else _ends(tops / bottoms)

    def interval_of_difference(self, difference: Array) -> Ends:
        """Of the mean of paired differences in -1..1 (rows,); exact where few clusters differ."""
        sums = np.bincount(self.of, difference, self.count)
        losses, gains = int((sums < 0).sum()), int((sums > 0).sum())
        found = self.interval(difference) if losses + gains >= FEW else None
        return found or ends_of_few(losses, gains, self.count, CONFIDENCE)


def _ends(drawn: Array) -> Ends:
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def auroc(doubt: Array, wrong: Array, weights: Array | None = None) -> Array:
    """P(a wrong row is in more doubt than a right one), ties half: of each row of `weights`.

    doubt, wrong (rows,); weights (resamples, rows), by default each row once. NaN where no row is
    wrong, or none right. 0.5: the signal knows nothing.
    """
    w = np.ones((1, len(doubt))) if weights is None else weights
    order = np.argsort(doubt, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(doubt[order]) > 0])
    bad = np.add.reduceat(w[:, order] * wrong[order], starts, axis=1)
    good = np.add.reduceat(w[:, order] * ~wrong[order], starts, axis=1)
    below = np.cumsum(good, axis=1) - good
    total = bad.sum(axis=1) * good.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray((bad * (below + good / 2)).sum(axis=1) / total)


def auroc_interval(doubt: Array, wrong: Array, clusters: Clusters) -> Ends | None:
    """Its central 95 % over clusters; None where most resamples have no error, or only errors."""
    drawn = np.concatenate([auroc(doubt, wrong, w) for w in clusters.weights()])
    known = drawn[np.isfinite(drawn)]
    return _ends(known) if len(known) > len(drawn) / 2 else None

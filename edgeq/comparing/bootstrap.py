"""scipy's percentile bootstrap over pairs: one draw of inputs gives both sides, still paired."""

import warnings
from collections.abc import Callable, Mapping

import numpy as np

from edgeq.ops.op import Array

CONFIDENCE = 0.95
RESAMPLES = 2_000
SEED = 0
DRAWN_AT_ONCE = 2**20  # values held in memory

Statistic = Callable[[Array], Array]  # (resample, input) -> (resample,)
Ends = tuple[float, float]


def mean(x: Array) -> Array:
    """Of each row."""
    return np.asarray(x.mean(axis=-1))


def deviation(x: Array) -> Array:
    """Standard deviation of each row, of the population as in the profile."""
    return np.asarray(x.std(axis=-1))


def quantile(share: float) -> Statistic:
    """The statistic that takes each row's quantile."""
    return lambda x: np.asarray(np.quantile(x, share, axis=-1))


def ratio_intervals(
    a: Array,
    b: Array,
    statistics: Mapping[str, Statistic],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, Ends | None]:
    """Of every statistic the central 95 % of statistic(b) / statistic(a), the same for one seed.

    None where a denominator is zero in any resample: there the ratio has no interval.
    """
    from scipy.stats import DegenerateDataWarning, bootstrap  # loaded by who compares alone

    def ratios(left: Array, right: Array, axis: int) -> Array:  # noqa: ARG001, scipy passes it
        return np.stack([statistic(right) / statistic(left) for statistic in statistics.values()])

    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)  # of a ratio to zero: no interval
        found = bootstrap(
            (a, b),
            ratios,
            paired=True,
            vectorized=True,  # scipy resamples along the last axis, the one the statistics take
            method="percentile",
            confidence_level=CONFIDENCE,
            n_resamples=resamples,
            batch=max(1, DRAWN_AT_ONCE // len(a)),
            rng=np.random.default_rng(seed),
        )
    ends = zip(*found.confidence_interval, found.bootstrap_distribution, strict=True)
    return {
        name: (float(low), float(high)) if np.isfinite(drawn).all() else None
        for name, (low, high, drawn) in zip(statistics, ends, strict=True)
    }

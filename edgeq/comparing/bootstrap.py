"""Percentile bootstrap over pairs: one draw of inputs gives both sides, so their pairing holds."""

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
    rng = np.random.default_rng(seed)
    ratios: dict[str, list[Array]] = {name: [] for name in statistics}
    step = max(1, DRAWN_AT_ONCE // len(a))
    for start in range(0, resamples, step):
        rows = rng.integers(len(a), size=(min(step, resamples - start), len(a)))
        left, right = a[rows], b[rows]
        for name, statistic in statistics.items():
            with np.errstate(divide="ignore", invalid="ignore"):
                ratios[name].append(statistic(right) / statistic(left))
    return {name: _ends(np.concatenate(parts)) for name, parts in ratios.items()}


def _ends(ratios: Array) -> Ends | None:
    if not np.isfinite(ratios).all():
        return None
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)

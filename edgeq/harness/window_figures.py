"""From measured windows to the figures of a profile: medians, spreads, experts.

A window holds a part of the data set, and which experts that part takes is chance. So a window's
mean is weighted: each expert counts by its share of the whole data set. Where a window lacks an
expert of the data set, its plain mean has to do.
"""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeq.harness.power_trace import Floats
from edgeq.harness.windows import Window


def summarize_windows(
    windows: Sequence[Window], experts: Sequence[str], shares: Sequence[float], source: str
) -> dict[str, Any]:
    """The energy object of a profile: medians over the windows, [least, most] beside each.

    `shares` is each expert's share of the data set's inferences, (experts,).
    """
    weights = [_weights(window, shares) for window in windows]
    return {
        "source": source,
        **_figures(windows, weights),
        "idle_w": statistics.median(w.idle_w for w in windows),
        "volts": statistics.fmean(w.volts for w in windows),
        "weighted": bool(experts) and all(_stratified(w, shares) for w in windows),
        "experts": [
            {"name": name, **_figures(windows, [np.isin(w.routes, route) for w in windows])}
            for route, name in enumerate(experts)
        ],
        "windows": [_window(w, weight) for w, weight in zip(windows, weights, strict=True)],
    }


def _stratified(window: Window, shares: Sequence[float]) -> bool:
    """Whether every expert of the data set ran in the window."""
    return {route for route, share in enumerate(shares) if share > 0} <= set(window.routes)


def _weights(window: Window, shares: Sequence[float]) -> Floats:
    """Of each inference, (inferences,); they add up to 1."""
    routes = np.array(window.routes)
    if not len(shares) or not _stratified(window, shares):
        return np.full(len(routes), 1 / len(routes))
    counts = np.bincount(routes, minlength=len(shares))
    return np.asarray(np.array(shares)[routes] / counts[routes], np.float64)


def _figures(windows: Sequence[Window], weights: Sequence[Any]) -> dict[str, Any]:
    """Weighted means, their medians and spreads; None where no window has any weight."""
    used = [(w, weight) for w, weight in zip(windows, weights, strict=True) if weight.any()]

    def median(name: str) -> tuple[float | None, list[float] | None]:
        means = [float(np.average(getattr(w, name), weights=weight)) for w, weight in used]
        return (statistics.median(means), [min(means), max(means)]) if means else (None, None)

    total, band = median("joules")
    net, net_band = median("net_joules")
    charge, charge_band = median("coulombs")
    return {
        "joules_mean": total,
        "band": band,
        "net_joules_mean": net,
        "net_band": net_band,
        "coulombs_mean": charge,
        "coulombs_band": charge_band,
        "inferences": int(sum(np.count_nonzero(weight) for _, weight in used)),
    }


def _window(w: Window, weights: Floats) -> dict[str, Any]:
    return {
        "inferences": len(w.routes),
        "seconds": w.length_s,
        "joules_mean": float(np.average(w.joules, weights=weights)),
        "joules_std": float(w.joules.std()),
        "net_joules_mean": float(np.average(w.net_joules, weights=weights)),
        "coulombs_mean": float(np.average(w.coulombs, weights=weights)),
        "idle_w": w.idle_w,
        "volts": w.volts,
    }

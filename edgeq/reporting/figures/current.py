"""What the current meter saw: the window as a whole, and its first inferences sample by sample."""

import itertools
from typing import Any

import numpy as np

from edgeq.arrays import Array
from edgeq.harness.power_trace import PowerTrace, read_current
from edgeq.reporting.figures import style
from edgeq.reporting.figures.figure import Figure, ReportedRun

BUCKETS = 1_500  # of the overview: each keeps its smallest and its largest sample
DETAIL_SAMPLES = 6_000
DETAIL_EDGES = 5
MOST_EDGES = 400  # lines in one drawing


def currents(subject: ReportedRun) -> list[Figure]:
    """Two figures of the first window; none where no meter ran."""
    path = subject.run.current
    traces = read_current(path) if path else []
    if not traces or not len(traces[0].current_a):
        return []
    trace = traces[0]
    source = f"{trace.meter}, {trace.rate_hz:,.0f} samples a second by its own clock"
    if subject.summary.energy.source == "modelled":
        source = f"modelled: {source}"
    figures = [_overview(trace, len(traces), source)]
    end = _detail_end(trace)
    if end < len(trace.current_a):
        figures.append(_detail(trace, end, source))
    return figures


def _overview(trace: PowerTrace, windows: int, source: str) -> Figure:
    at, amperes = envelope(trace.current_a, BUCKETS)
    kept = "" if len(at) == len(trace.current_a) else " Each bucket keeps its extremes."
    return Figure(
        "current",
        "Current",
        f"The first of {windows} windows, {trace.seconds:.3g} s at {trace.voltage_v.mean():.3f} V; "
        f"{len(trace.falls):,} falling edges of the marker. Drag to zoom.{kept}",
        source,
        _plot(trace, at, amperes, trace.falls),
        wide=True,
    )


def _detail(trace: PowerTrace, end: int, source: str) -> Figure:
    return Figure(
        "current_detail",
        "Current, first inferences",
        "Every sample up to there; dotted lines are falling edges of the marker.",
        source,
        _plot(trace, np.arange(end), trace.current_a[:end], trace.falls[trace.falls < end]),
        wide=True,
    )


def _detail_end(trace: PowerTrace) -> int:
    """Behind the first few edges, and never more samples than a page should hold."""
    edges = trace.falls[:DETAIL_EDGES]
    wanted = int(edges[-1] * 1.1) + 1 if len(edges) else DETAIL_SAMPLES
    return min(wanted, DETAIL_SAMPLES, len(trace.current_a))


def _plot(trace: PowerTrace, at: Array, amperes: Array, edges: Array) -> dict[str, Any]:
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "current",
        "x": (1e3 * at / trace.rate_hz).tolist(),
        "y": (1e3 * amperes).tolist(),
        "line": {"color": style.SERIES[0], "width": 1},
        "hovertemplate": "%{y:.4g} mA at %{x:.5g} ms<extra></extra>",
    }
    shown = (1e3 * edges[:: -(-len(edges) // MOST_EDGES) or 1] / trace.rate_hz).tolist()
    low, high = float(1e3 * amperes.min()), float(1e3 * amperes.max())
    marks = {  # one broken line: a shape for each edge would be slow
        "type": "scatter",
        "mode": "lines",
        "name": "marker",
        "x": [x for edge in shown for x in (edge, edge, None)],
        "y": [y for _ in shown for y in (low, high, None)],
        "line": {"color": style.SERIES[1], "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }
    layout = style.layout(340, "ms", "mA")
    return {"data": [line, marks], "layout": layout}


def envelope(values: Array, buckets: int) -> tuple[Array, Array]:
    """(positions, values): the smallest and the largest of each bucket, in order of time.

    All of them where there are no more than two a bucket.
    """
    if len(values) <= 2 * buckets:
        return np.arange(len(values)), values
    bounds = np.linspace(0, len(values), buckets + 1).astype(int)
    kept = [
        start + index
        for start, end in itertools.pairwise(bounds.tolist())
        for index in sorted({int(values[start:end].argmin()), int(values[start:end].argmax())})
    ]
    return np.array(kept), values[kept]

"""Latency: its distribution for each expert, and beside what the route was chosen by."""

import numpy as np

from edgeq.reporting.figures import style
from edgeq.reporting.figures.figure import Figure, ReportedRun
from edgeq.reporting.run import answer
from edgeq.reporting.sources import latency_source

BINS = 60
MOST_POINTS = 4_000


def distribution(subject: ReportedRun) -> Figure | None:
    """How many inferences took how long, a lane an expert; None without a cycle counter."""
    if not subject.summary.counts_cycles:
        return None
    records, per_ms = subject.run.records, subject.cycles_per_ms
    everything = np.array([r.cycles for r in records]) / per_ms
    low, high = float(everything.min()), float(everything.max())
    edges = np.linspace(low, high if high > low else low * 1.01 + 1e-6, BINS + 1)
    lanes = [(e, n) for e, n in subject.routes if any(r.route == e for r in records)]
    plot = style.layout(90 + 90 * len(lanes), "ms", "", bargap=0)
    plot["xaxis"]["anchor"] = f"y{len(lanes) if len(lanes) > 1 else ''}"
    data = []
    for lane, (route, name) in enumerate(lanes):
        counts = np.histogram([r.cycles / per_ms for r in records if r.route == route], edges)[0]
        suffix = str(lane + 1) if lane else ""
        top = 1 - lane / len(lanes)
        axis = {"automargin": True, "rangemode": "tozero", "tickvals": [0, int(counts.max())]}
        domain = [top - 0.82 / len(lanes), top]
        plot[f"yaxis{suffix}"] = {**axis, "domain": domain, "zeroline": False}
        data.append(
            {
                "type": "bar",
                "name": style.short(name),
                "x": ((edges[:-1] + edges[1:]) / 2).tolist(),
                "y": counts.tolist(),
                "width": float(edges[1] - edges[0]),
                "marker": {"color": style.colour(max(route, 0))},
                "yaxis": f"y{suffix}",
                "hovertemplate": "%{y} inferences at %{x:.4g} ms<extra>%{fullData.name}</extra>",
            }
        )
    return Figure(
        "latency",
        "Latency by expert",
        "Inferences by their time, counted in 60 bins; each row has its own count axis.",
        latency_source(subject.run, subject.summary),
        {"data": data, "layout": plot | {"showlegend": True}},
        wide=True,
    )


def against_uncertainty(subject: ReportedRun) -> Figure | None:
    """A mark an inference; None without a mixture or a counter."""
    if not subject.experts or not subject.summary.counts_cycles:
        return None
    records, per_ms = subject.run.records, subject.cycles_per_ms
    step = -(-len(records) // MOST_POINTS)
    shown = records[::step]
    data = []
    for route, name in subject.routes:
        points = [r for r in shown if r.route == route]
        if points:
            symbol = style.SYMBOLS[route % len(style.SYMBOLS)]
            marker = {"color": style.colour(route), "symbol": symbol, "size": 6, "opacity": 0.7}
            data.append(_points(style.short(name), points, per_ms, marker))
    classes = len(subject.run.manifest.model.classes)
    wrong = [r for r in shown if answer(r, classes) != r.label]
    if wrong:
        marker = {"color": style.WRONG, "symbol": "x-thin-open", "size": 10, "line": {"width": 2}}
        data.append(_points("wrong answer", wrong, per_ms, marker))
    every = "" if step == 1 else f" Every {step}th of {len(records):,} inferences."
    return Figure(
        "uncertainty_latency",
        "Latency against uncertainty",
        f"A mark an inference, by its expert; a cross is a wrong answer.{every}",
        latency_source(subject.run, subject.summary),
        {"data": data, "layout": style.layout(360, subject.doubt, "ms")},
    )


def _points(name: str, records: list, per_ms: float, marker: dict) -> dict:  # type: ignore[type-arg]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [r.uncertainty for r in records],
        "y": [r.cycles / per_ms for r in records],
        "customdata": [r.index for r in records],
        "marker": marker,
        "hovertemplate": "input %{customdata}: uncertainty %{x:.4g}, %{y:.4g} ms"
        "<extra>%{fullData.name}</extra>",
    }

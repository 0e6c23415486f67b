"""Where inputs went: the share of each expert, and how uncertain the router was."""

import numpy as np

from edgeq.reporting.figures import style
from edgeq.reporting.figures.figure import Figure, ReportedRun

BINS = 40


def shares(subject: ReportedRun) -> Figure | None:
    """A bar an expert; None without a mixture."""
    experts = subject.summary.experts
    if not experts:
        return None
    bar = {
        "type": "bar",
        "orientation": "h",
        "y": list(range(len(experts))),
        "x": [100 * e.share for e in experts],
        "text": [f"{e.share:.1%} ({e.count:,})" for e in experts],
        "textposition": "auto",
        "customdata": [style.text(e.name) for e in experts],
        "marker": {"color": [style.colour(i) for i in range(len(experts))]},
        "hovertemplate": "%{customdata}: %{text}<extra></extra>",
        "cliponaxis": False,
    }
    layout = style.layout(360, "% of the inputs", "", showlegend=False, bargap=0.4)
    layout["margin"]["t"] = 16
    layout["xaxis"] |= {"range": [0, 100]}
    layout["yaxis"] |= {"autorange": "reversed", **style.ticks([e.name for e in experts])}
    return Figure(
        "routes",
        "Routes",
        "Share and number of the inputs that each expert answered.",
        "the board's answers",
        {"data": [bar], "layout": layout},
    )


def uncertainty(subject: ReportedRun) -> Figure | None:
    """A histogram, stacked by expert; None without a mixture."""
    if not subject.experts:
        return None
    records = subject.run.records
    high = max(r.uncertainty for r in records) or 1.0
    edges = np.linspace(0.0, high, BINS + 1)
    data = []
    for route, name in subject.routes:
        values = [r.uncertainty for r in records if r.route == route]
        if values:
            data.append(
                {
                    "type": "bar",
                    "name": style.short(name),
                    "x": ((edges[:-1] + edges[1:]) / 2).tolist(),
                    "y": np.histogram(values, edges)[0].tolist(),
                    "width": float(edges[1]),
                    "marker": {"color": style.colour(route)},
                    "hovertemplate": "%{y} inputs near %{x:.4g}<extra>%{fullData.name}</extra>",
                }
            )
    layout = style.layout(360, subject.doubt, "inputs", barmode="stack", bargap=0)
    return Figure(
        "uncertainty",
        "Uncertainty",
        _caption(subject),
        "the board's answers",
        {"data": data, "layout": layout},
    )


def _caption(subject: ReportedRun) -> str:
    found = subject.summary.uncertainty
    if found is None:
        return ""
    parts = [f"Mean {found.mean:.4g}"]
    for mean, words in ((found.mean_when_right, "right"), (found.mean_when_wrong, "wrong")):
        if mean is not None:
            parts.append(f"{mean:.4g} where the answer is {words}")
    return f"Inputs by the {subject.doubt}, stacked by expert. {'; '.join(parts)}."

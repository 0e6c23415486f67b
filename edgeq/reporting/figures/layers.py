"""Cycles of each layer."""

from collections.abc import Sequence
from typing import Any

from edgeq.harness.profile_summary import LayerFigures
from edgeq.reporting.figures import style
from edgeq.reporting.figures.figure import Figure, ReportedRun
from edgeq.reporting.sources import latency_source

MOST = 60  # bars; a page of more cannot be read


def layers(subject: ReportedRun) -> Figure | None:
    """A bar a layer, in the order of the run, coloured by expert; None without a counter."""
    counted = [i for i in subject.summary.layers if i.cycles is not None]
    if not counted:
        return None
    shown = sorted(counted, key=lambda i: -(i.cycles or 0))[:MOST]
    kept = [i for i in counted if i in shown]
    data = []
    for owner in ("", *subject.experts):
        mine = [(at, i) for at, i in enumerate(kept) if _owner(i.name, subject) == owner]
        if mine:
            data.append(_bars(owner, mine, subject))
    layout = style.layout(100 + 24 * len(kept), "cycles", "", barmode="overlay")
    names = [i.name for i in kept]
    layout["yaxis"] |= {"range": [len(kept) - 0.5, -0.5], **style.ticks(names)}
    layout["xaxis"] |= {"rangemode": "tozero"}
    left = f" The {MOST} costliest of {len(counted)}." if len(kept) < len(counted) else ""
    return Figure(
        "layers",
        "Cycles per layer",
        f"Mean over the inferences in which the layer ran.{left}",
        latency_source(subject.run, subject.summary),
        {"data": data, "layout": layout},
        wide=True,
    )


def _owner(name: str, subject: ReportedRun) -> str:
    head, slash, _ = name.partition("/")
    return head if slash and head in subject.experts else ""


def _bars(
    owner: str, rows: Sequence[tuple[int, LayerFigures]], subject: ReportedRun
) -> dict[str, Any]:
    shade = style.colour(subject.experts.index(owner)) if owner else style.SHARED
    return {
        "type": "bar",
        "orientation": "h",
        "name": style.short(owner) if owner else "shared",
        "y": [at for at, _ in rows],
        "x": [i.cycles for _, i in rows],
        "customdata": [
            [style.text(i.name), style.text(i.op), i.count, 100 * (i.share or 0)] for _, i in rows
        ],
        "marker": {"color": shade},
        "hovertemplate": "%{customdata[0]} (%{customdata[1]}): %{x:,.0f} cycles, ran "
        "%{customdata[2]} times, %{customdata[3]:.1f} % of the run<extra></extra>",
    }

"""The report of a profile as one HTML page: nothing fetched, no script, the same text every time.

Names of models and classes are untrusted: the template escapes everything that is not a chart.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from edgeq.harness.trace import SampleRecord
from edgeq.report import profile_text, svg
from edgeq.report.statistics import NO_COUNTER

TEMPLATE = "page.html.j2"


def page(export: dict[str, Any], summary: dict[str, Any], records: Sequence[SampleRecord]) -> str:
    """report.html from the objects of `edgeq export` and `edgeq profile` and the samples."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["ms"] = profile_text.milliseconds
    environment.filters["percent"] = profile_text.percent
    environment.filters["joules"] = profile_text.joules
    charts = {
        "layers": _layer_bars(summary),
        "latency": _latency_histogram(summary, records),
        "routes": _route_scatter(summary, records),
        "confusion": svg.heat_map(
            summary["confusion"]["classes"], summary["confusion"]["matrix"], "Confusion matrix"
        ),
    }
    return environment.get_template(TEMPLATE).render(
        export=export,
        profile=summary,
        charts=charts,
        latency=profile_text.latency_line(summary["latency"]),
        energy=profile_text.energy_line(summary["energy"]),
    )


def _expert_names(summary: dict[str, Any]) -> list[str]:
    return [e["name"] for e in summary["experts"]]


def _layer_bars(summary: dict[str, Any]) -> str:
    experts = _expert_names(summary)
    rows = []
    for layer in summary["layers"]:
        if layer["cycles"] is None:
            continue
        owner = layer["name"].partition("/")[0]
        series = experts.index(owner) if owner in experts and "/" in layer["name"] else None
        text = f"{layer['cycles']:,.0f}"
        note = f"{layer['op']}: {text} cycles, ran {layer['count']} times"
        rows.append(svg.Bar(layer["name"], layer["cycles"], text, series, note))
    return svg.bars(rows, "Cycles per layer") if rows else ""


def _latency_histogram(summary: dict[str, Any], records: Sequence[SampleRecord]) -> str:
    if summary["latency"]["source"] == NO_COUNTER:
        return ""
    per_ms = summary["clock_hz"] / 1e3
    names = _expert_names(summary)
    lanes = list(enumerate(names)) if names else [(-1, "every sample")]
    groups = [(name, [r.cycles / per_ms for r in records if r.route == e]) for e, name in lanes]
    return svg.histogram(groups, "Latency", "ms")


def _route_scatter(summary: dict[str, Any], records: Sequence[SampleRecord]) -> str:
    if not summary["experts"]:
        return ""
    points = [
        (r.uncertainty, r.route, max(range(len(r.output)), key=r.output.__getitem__) == r.label)
        for r in records
        if 0 <= r.route < len(summary["experts"])
    ]
    return svg.scatter(points, _expert_names(summary), "Routes", "uncertainty")

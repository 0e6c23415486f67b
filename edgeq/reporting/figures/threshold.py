"""What other thresholds would do: the risk by how many stop early, the accuracy by cost."""

from typing import Any

from edgeq.reporting.figures import style
from edgeq.reporting.figures.figure import Figure, ReportedRun

SOURCE = "the reference on the rows of {source}; cost modelled"


def thresholds(subject: ReportedRun) -> list[Figure]:
    """Both curves with the shipped point; none where the export promised nothing."""
    export = subject.summary.export
    if export is None or export.threshold is None:
        return []
    found = export.threshold.model_dump()
    return [_risk(found), _cost(found)]


def _risk(found: dict[str, Any]) -> Figure:
    x = [100 * (1 - point["share"]) for point in found["curve"]]
    y = [100 * point["disagreement"] for point in found["curve"]]
    limit = {
        "type": "scatter",
        "mode": "lines",
        "name": "limit",
        "x": [min(x), max(x)],
        "y": [100 * found["limit"]] * 2,
        "line": {"color": style.WRONG, "dash": "dot"},
        "hoverinfo": "skip",
    }
    hover = "%{x:.1f} % stop early: %{y:.2f} % disagree"
    against = style.text(found["against"])
    return Figure(
        "risk_coverage",
        "Risk against coverage",
        f"Rows answered otherwise than by {against}, by how many are answered without it; each "
        f"point is a threshold. Promised: below {found['limit']:.4g} with "
        f"{found['confidence']:.4g} confidence.",
        SOURCE.format(source=found["source"]),
        {
            "data": [limit, *_curve(x, y, found["chosen"], hover)],
            "layout": style.layout(380, "% of the rows that stop early", "disagreement, %"),
        },
    )


def _cost(found: dict[str, Any]) -> Figure:
    curve = found["curve"]
    joules = all(point["energy_j"] is not None for point in curve)
    labelled = all(point["accuracy"] is not None for point in curve)
    x = [1e6 * p["energy_j"] if joules else 1e3 * p["latency_s"] for p in curve]
    y = [100 * (p["accuracy"] if labelled else 1 - p["disagreement"]) for p in curve]
    unit = "uJ an inference, mean" if joules else "ms, mean"
    what = "accuracy" if labelled else f"agreement with {style.text(found['against'])}"
    return Figure(
        "energy_accuracy",
        f"{what.capitalize()} against {'energy' if joules else 'latency'}",
        "Each point is a threshold; up and to the left is better.",
        SOURCE.format(source=found["source"]),
        {
            "data": _curve(x, y, found["chosen"], f"%{{y:.2f}} % at %{{x:.4g}} {unit}"),
            "layout": style.layout(380, unit, f"{what}, %"),
        },
    )


def _curve(x: list[float], y: list[float], chosen: int, hover: str) -> list[dict[str, Any]]:
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "thresholds",
        "x": x,
        "y": y,
        "line": {"color": style.colour(0)},
        "marker": {"size": 5},
        "hovertemplate": f"{hover}<extra></extra>",
    }
    point = {
        "type": "scatter",
        "mode": "markers",
        "name": "shipped",
        "x": [x[chosen]],
        "y": [y[chosen]],
        "marker": {"color": style.colour(1), "size": 13, "symbol": "diamond"},
        "hovertemplate": f"shipped: {hover}<extra></extra>",
    }
    return [line, point]

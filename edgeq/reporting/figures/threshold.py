"""What other thresholds would do: the risk by how many stop early, the accuracy by cost.

The risk is that of a promise's rows where the export made one; else, and for the accuracy wherever
they have labels, the rows are those of the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeq.harness.profile_summary import AloneFigures, AloneTable, Curve
from edgeq.reporting.figures import style
from edgeq.reporting.figures.figure import Figure, ReportedRun
from edgeq.strict import Threshold

PROMISED = "the reference on the rows of {source}; cost modelled"
OF_RUN = "the reference on the rows of the run; latency {latency}, energy {energy}"


@dataclass(frozen=True)
class _Points:
    """Of every threshold and the shipped one, last; costs None where there are none."""

    share: list[float]
    disagreement: list[float]
    accuracy: list[float | None]
    joules: list[float | None]
    latency_s: list[float | None]


def thresholds(subject: ReportedRun) -> list[Figure]:
    """Both curves with the shipped point; none without a threshold."""
    alone, export = subject.summary.alone, subject.summary.export
    promise = export.threshold if export else None
    curve = alone.curve if alone else None
    made = []
    if promise:
        made.append(_promised_risk(promise))
    elif curve:
        made.append(_risk_of(subject, curve))
    if alone and curve:
        made.append(_cost_of(subject, alone, curve))
    elif promise:
        made.append(_promised_cost(promise))
    return made


def _of_promise(found: Threshold) -> _Points:
    points = [*found.curve, found.curve[found.chosen]]
    return _Points(
        [p.share for p in points],
        [p.disagreement for p in points],
        [p.accuracy for p in points],
        [p.energy_j for p in points],
        [p.latency_s for p in points],
    )


def _of_run(curve: Curve) -> _Points:
    points = [*curve.points, curve.shipped]
    return _Points(
        [p.share for p in points],
        [p.disagreement for p in points],
        [p.accuracy for p in points],
        [p.joules for p in points],
        [_seconds(p) for p in points],
    )


def _seconds(point: AloneFigures) -> float | None:
    return None if point.latency_ms is None else point.latency_ms / 1e3


def _promised_risk(found: Threshold) -> Figure:
    promised = f"Promised: below {found.limit:.4g} with {found.confidence:.4g} confidence."
    source = PROMISED.format(source=found.source)
    return _risk(_of_promise(found), found.against, promised, source, found.limit)


def _risk_of(subject: ReportedRun, curve: Curve) -> Figure:
    return _risk(_of_run(curve), curve.against, "Nothing is promised.", _source(subject), None)


def _source(subject: ReportedRun) -> str:
    summary = subject.summary
    return OF_RUN.format(latency=summary.latency.source, energy=summary.energy.source)


def _risk(points: _Points, against: str, said: str, source: str, limit: float | None) -> Figure:
    x = [100 * (1 - share) for share in points.share]
    y = [100 * disagreement for disagreement in points.disagreement]
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "limit",
        "x": [min(x), max(x)],
        "y": [100 * (limit or 0)] * 2,
        "line": {"color": style.WRONG, "dash": "dot"},
        "hoverinfo": "skip",
    }
    hover = "%{x:.1f} % stop early: %{y:.2f} % disagree"
    return Figure(
        "risk_coverage",
        "Risk against coverage",
        f"Rows answered otherwise than by {style.text(against)}, by how many are answered without "
        f"it; each point is a threshold. {said}",
        source,
        {
            "data": [*([line] if limit is not None else []), *_curve(x, y, hover)],
            "layout": style.layout(380, "% of the rows that stop early", "disagreement, %"),
        },
    )


def _promised_cost(found: Threshold) -> Figure:
    points, source = _of_promise(found), PROMISED.format(source=found.source)
    return _cost(points, found.against, "Each point is a threshold.", source, ())


def _cost_of(subject: ReportedRun, alone: AloneTable, curve: Curve) -> Figure:
    """With each expert alone and the oracle beside the curve; the sentence of the gain below it."""
    others = [(f"{expert.name} alone", expert) for expert in alone.experts]
    said = (
        "Each point of the line is a threshold; one chosen by these rows would be fitted to them. "
        f"As shipped: {style.text(alone.gain.said)}."
    )
    singles = [*others, ("oracle", alone.oracle)]
    return _cost(_of_run(curve), curve.against, said, _source(subject), singles)


def _cost(
    points: _Points,
    against: str,
    said: str,
    source: str,
    singles: Sequence[tuple[str, AloneFigures]],
) -> Figure:
    joules = None not in points.joules
    labelled = None not in points.accuracy
    x = [1e6 * (v or 0) for v in points.joules]
    if not joules:
        x = [1e3 * (v or 0) for v in points.latency_s]
    agreement = [1 - v for v in points.disagreement]
    y = [100 * (v or 0) for v in (points.accuracy if labelled else agreement)]
    unit = "uJ an inference, mean" if joules else "ms, mean"
    what = "accuracy" if labelled else f"agreement with {style.text(against)}"
    hover = f"%{{y:.2f}} % at %{{x:.4g}} {unit}"
    return Figure(
        "energy_accuracy",
        f"{what.capitalize()} against {'energy' if joules else 'latency'}",
        f"{said} Up and to the left is better.",
        source,
        {
            "data": [*_curve(x, y, hover), *_singles(singles, joules, hover)],
            "layout": style.layout(380, unit, f"{what}, %"),
        },
    )


def _singles(
    named: Sequence[tuple[str, AloneFigures]], joules: bool, hover: str
) -> list[dict[str, Any]]:
    """A mark each; those whose cost is not known have none."""
    made = []
    for i, (name, of) in enumerate(named, start=2):
        cost, scale = (of.joules, 1e6) if joules else (of.latency_ms, 1.0)
        if cost is None:
            continue
        marker = {
            "color": style.colour(i),
            "symbol": style.SYMBOLS[(i + 1) % len(style.SYMBOLS)],
            "size": 12,
        }
        mark = {"type": "scatter", "mode": "markers", "name": style.short(name, 28)}
        at = {"x": [scale * cost], "y": [100 * of.accuracy]}
        made.append(
            mark | at | {"marker": marker, "hovertemplate": f"{hover}<extra>{mark['name']}</extra>"}
        )
    return made


def _curve(x: list[float], y: list[float], hover: str) -> list[dict[str, Any]]:
    """The thresholds as a line; what is shipped stands last in x and y."""
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "thresholds",
        "x": x[:-1],
        "y": y[:-1],
        "line": {"color": style.colour(0)},
        "marker": {"size": 5},
        "hovertemplate": f"{hover}<extra></extra>",
    }
    point = {
        "type": "scatter",
        "mode": "markers",
        "name": "shipped",
        "x": x[-1:],
        "y": y[-1:],
        "marker": {"color": style.colour(1), "size": 13, "symbol": "diamond"},
        "hovertemplate": f"shipped: {hover}<extra></extra>",
    }
    return [line, point]

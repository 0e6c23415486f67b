"""Several runs at once: what accuracy costs in latency and in energy."""

from collections.abc import Sequence

from edgeq.reporting.figures import style
from edgeq.reporting.figures.figure import Figure, ReportedRun


def pareto(subjects: Sequence[ReportedRun], names: Sequence[str]) -> list[Figure]:
    """Accuracy over mean latency, and over mean energy; only of runs that have both."""
    return [
        figure
        for figure in (
            _view(subjects, names, "latency", "ms, mean"),
            _view(subjects, names, "energy", "uJ an inference, mean"),
        )
        if figure is not None
    ]


def _cost(subject: ReportedRun, key: str) -> float | None:
    if key == "latency":
        value = subject.summary.latency.mean
        return None if value is None else float(value)
    joules = subject.summary.energy.joules_mean
    return None if joules is None else float(joules) * 1e6


def _source(subject: ReportedRun, key: str) -> str:
    summary = subject.summary
    return summary.latency.source if key == "latency" else summary.energy.source


def _view(
    subjects: Sequence[ReportedRun], names: Sequence[str], key: str, unit: str
) -> Figure | None:
    points = [
        (cost, 100 * s.summary.accuracy, i)
        for i, s in enumerate(subjects)
        if (cost := _cost(s, key)) is not None and s.summary.accuracy is not None
    ]
    if len(points) < 2:
        return None
    return drawn(
        f"pareto_{key}",
        f"Accuracy against {key}",
        "Up and to the left is better; no run beats one on the dotted line in both.",
        f"{' / '.join(sorted({_source(s, key) for s in subjects}))}; each run's build is below",
        unit,
        points,
        names,
    )


def drawn(
    key: str,
    title: str,
    caption: str,
    source: str,
    unit: str,
    points: Sequence[tuple[float, float, int]],
    names: Sequence[str],
) -> Figure:
    """Points (cost, accuracy in %, index of the name), and their front."""
    edge = front([(cost, gain) for cost, gain, _ in points])
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "Pareto front",
        "x": [x for x, _ in edge],
        "y": [y for _, y in edge],
        "line": {"color": style.SHARED, "shape": "hv", "dash": "dot"},
        "hoverinfo": "skip",
    }
    data = [line, *(_point(cost, gain, i, names[i], unit) for cost, gain, i in points)]
    layout = style.layout(380, unit, "accuracy, %")
    return Figure(key, title, caption, source, {"data": data, "layout": layout})


def _point(cost: float, gain: float, i: int, name: str, unit: str) -> dict[str, object]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": style.short(name, 28),
        "x": [cost],
        "y": [gain],
        "marker": {
            "color": style.colour(i),
            "symbol": style.SYMBOLS[i % len(style.SYMBOLS)],
            "size": 13,
        },
        "hovertemplate": f"%{{y:.2f}} % at %{{x:.4g}} {unit}<extra>%{{fullData.name}}</extra>",
    }


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (cost, gain) that no other point beats in both, by rising cost.

    >>> front([(3, 90), (1, 80), (2, 70), (4, 90)])
    [(1, 80), (3, 90)]
    """
    best: list[tuple[float, float]] = []
    for cost, gain in sorted(points, key=lambda p: (p[0], -p[1])):
        if not best or gain > best[-1][1]:
            best.append((cost, gain))
    return best

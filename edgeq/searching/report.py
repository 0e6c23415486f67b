"""A search for its reader: the terminal, the page with its front, the run folder."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from edgeq.plain_text import plain
from edgeq.planning.folder import Told
from edgeq.reporting.figures import Figure, style
from edgeq.reporting.figures.pareto import drawn
from edgeq.reporting.fitted import Column, Paragraph, name_column, table
from edgeq.reporting.profile_text import joules, milliseconds, percent
from edgeq.reporting.study_page import PageTable
from edgeq.searching.result import rows

Entry = Mapping[str, Any]
COLUMNS = ("trial", "accuracy", "ms", "energy", "flash B", "RAM B", "state", "parameters")
SHOWN = 20  # trials of a terminal


def search_text(result: Entry) -> RenderableType:
    """The object of `edgeq search --json`, for people: the front, then the best of the rest."""
    result = plain(dict(result))
    done = [t for t in result["trials"] if t["state"] == "COMPLETE"]
    ordered = sorted(done, key=lambda t: (not t["fronts"], -t["accuracy"]))
    columns = (*map(Column, COLUMNS[:6]), Column("", right=False), name_column("parameters"))
    cells = [cells_of(trial) for trial in ordered[:SHOWN]]
    head = Text(f"{result['study']} on {result['board']}", style="bold")
    failed = [t for t in result["trials"] if t["state"] == "FAIL"][-3:]
    return Group(
        head,
        *([table("", columns, cells)] if cells else []),
        *(Paragraph(line) for line in said(result)),
        *(Paragraph(f"trial {t['number']} failed: {t['why']}", style="yellow") for t in failed),
    )


def cells_of(trial: Entry) -> tuple[str, ...]:
    """Cells of COLUMNS."""
    state = f"front of {', '.join(trial['fronts'])}" if trial["fronts"] else trial["why"]
    known = trial["cycles"] is not None
    return (
        str(trial["number"]),
        percent(trial["accuracy"]),
        milliseconds(1e3 * trial["latency_s"]) if known else "-",
        joules(trial["energy_j"]),
        f"{trial['flash_bytes']:,}" if known else "-",
        f"{trial['ram_bytes']:,}" if known else "-",
        state or trial["state"].lower(),
        ", ".join(f"{name}={value}" for name, value in trial["params"].items()),
    )


def said(result: Entry) -> Iterator[str]:
    """What the trials came to."""
    yield (
        f"{result['complete']} trials complete, {result['pruned']} pruned (over the caps before "
        f"training, or behind the median early), {result['failed']} failed; "
        f"in {result['storage']}. Cycles and energy: modelled. Accuracy: the space's own score, by "
        "which trials were chosen, so hold the best to other rows."
    )
    best = result["best"]
    if best is None:
        yield "no trial is complete within the caps"
        return
    yield (
        f"best: trial {best['number']}, {best['accuracy']:.1%}, {1e3 * best['latency_s']:.4g} ms, "
        f"{best['flash_bytes']:,} B of flash, {best['ram_bytes']:,} B of RAM"
    )


def told(result: Entry) -> Told:
    """What goes into the run folder: a row a trial."""
    trials = result["trials"]
    return Told(
        kind="search",
        result=result,
        keys=("number",),
        table=rows(trials),
        title=f"{result['study']}: a search on {result['board']}",
        said=list(said(result)),
        figures=list(_figures(result)),
        tables=[PageTable("Trials", COLUMNS, [cells_of(trial) for trial in trials])],
    )


def _figures(result: Entry) -> Iterator[Figure]:
    done = [t for t in result["trials"] if t["state"] == "COMPLETE" and t["fits"]]
    if not done:
        return
    for key, (field, unit, scale) in {
        "latency": ("latency_s", "ms", 1e3),
        "flash": ("flash_bytes", "bytes of flash", 1.0),
        "ram": ("ram_bytes", "bytes of RAM", 1.0),
    }.items():
        kept = [t for t in done if key in t["fronts"]]
        points = [(scale * t[field], 100 * t["accuracy"], i) for i, t in enumerate(kept)]
        figure = drawn(
            f"front_{key}",
            f"Accuracy against {key}",
            "The trials on the front have their numbers; the others are dots.",
            "accuracy: the space's score; cost modelled",
            unit,
            points,
            [f"trial {t['number']}" for t in kept],
        )
        figure.plot["data"].insert(0, _others(done, key, field, scale))
        yield figure
    yield _history(done)


def _others(done: list[Entry], key: str, field: str, scale: float) -> dict[str, Any]:
    rest = [t for t in done if key not in t["fronts"]]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "other trials",
        "x": [scale * t[field] for t in rest],
        "y": [100 * t["accuracy"] for t in rest],
        "text": [f"trial {t['number']}" for t in rest],
        "marker": {"color": style.SHARED, "size": 6},
        "hovertemplate": "%{text}: %{y:.2f} % at %{x:.4g}<extra></extra>",
    }


def _history(done: list[Entry]) -> Figure:
    numbers, best, top = [], [], 0.0
    for trial in sorted(done, key=lambda t: int(t["number"])):
        top = max(top, trial["accuracy"])
        numbers.append(trial["number"])
        best.append(100 * top)
    line: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": numbers,
        "y": best,
    }
    line |= {"line": {"color": style.colour(0), "shape": "hv"}}
    layout = style.layout(320, "trial", "accuracy, %")
    plot = {"data": [line], "layout": layout}
    return Figure("history", "The best so far", "Complete trials within the caps.", "score", plot)

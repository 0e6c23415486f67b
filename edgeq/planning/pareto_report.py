"""Candidates side by side for their reader: the terminal, the page, the run folder."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from edgeq.plain_text import plain
from edgeq.planning.folder import Told
from edgeq.reporting.figures import Figure
from edgeq.reporting.figures.pareto import drawn
from edgeq.reporting.fitted import Column, FittedTable, Paragraph, Row, name_column
from edgeq.reporting.profile_text import joules, milliseconds
from edgeq.reporting.study_page import PageTable

Entry = Mapping[str, Any]
COLUMNS = (
    "candidate",
    "accuracy [95 %]",
    "against the best, points [95 %]",
    "p",
    "ms",
    "energy",
    "flash B",
    "RAM B",
    "front of",
    "",
)


def pareto_text(result: Entry) -> RenderableType:
    """The object of `edgeq pareto --json` or `edgeq advise --json`, for people."""
    result = plain(dict(result))
    middle = [Column(title) for title in ("accuracy", "points", "p", *COLUMNS[4:8])]
    columns = (
        name_column("candidate"),
        *middle,
        Column("front of", right=False, drop=0),
        Column("", right=False, words=True),
    )
    rows = tuple(
        Row(cells, "bold" if entry["fronts"] else "")
        for cells, entry in zip(cells_of(result), result["candidates"], strict=True)
    )
    head = Text(f"{result['model']} on {result['board']}", style="bold")
    said = [Paragraph(line) for line in sentences(result)]
    told = result.get("advice")
    advised = [Paragraph(told["said"], style="bold")] if told else []
    return Group(head, FittedTable("", columns, rows, gap=1), *said, *advised)


def cells_of(result: Entry) -> list[tuple[str, ...]]:
    """Cells of COLUMNS."""
    return [
        (
            e["name"],
            f"{e['accuracy']:.1%} {_ends(e['accuracy_interval'])}",
            *_beside(e),
            milliseconds(1e3 * e["latency_s"]),
            joules(e["energy_j"]),
            f"{e['flash_bytes']:,}",
            f"{e['ram_bytes']:,}",
            ", ".join(e["fronts"]),
            e["verdict"] if e["fits"] else "does not fit",
        )
        for e in result["candidates"]
    ]


def _beside(entry: Entry) -> tuple[str, str]:
    """Difference to the most accurate, and p; nothing of that itself."""
    if entry["name"] == entry["against"]:
        return "-", "-"
    ends = _ends(entry["difference_interval"])
    return f"{100 * entry['difference']:+.1f} {ends}", f"{entry['p']:.2g}"


def _ends(ends: list[float]) -> str:
    return f"[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"


def sentences(result: Entry) -> Iterator[str]:
    """What the figures rest on."""
    groups = f" from {result['clusters']} groups" if result["clusters"] < result["rows"] else ""
    yield (
        f"{result['rows']} rows{groups} of {result['data']}, answered by the integers that the "
        f"firmware computes; intervals: paired bootstrap, 95 %; p: exact McNemar against "
        f"{result['candidates'][0]['against']}, the most accurate. Cycles and energy: modelled."
    )
    yield (
        "A choice among candidates on these rows is best held to other rows before it ships."
        if len(result["candidates"]) > 2
        else "Widths that lose more than they may win much of it back by training (nn.fit)."
    )


def told_of(kind: str, result: Entry) -> Told:
    """What goes into the run folder: a row a candidate."""
    table = [
        {
            key: ", ".join(value) if key == "fronts" else value
            for key, value in entry.items()
            if key == "fronts" or not isinstance(value, dict | list)
        }
        | {"accuracy_low": entry["accuracy_interval"][0]}
        | {"accuracy_high": entry["accuracy_interval"][1]}
        for entry in result["candidates"]
    ]
    for row in table:
        row.pop("widths", None)
    advised = result.get("advice")
    return Told(
        kind=kind,
        result=result,
        keys=("name",),
        table=table,
        title=f"{result['model']} on {result['board']}: which precision",
        said=list(sentences(result)),
        notes=[advised["said"]] if advised else [],
        figures=list(_figures(result)),
        tables=[PageTable("Candidates", COLUMNS, cells_of(result))],
    )


def _figures(result: Entry) -> Iterator[Figure]:
    views: Mapping[str, tuple[str, Callable[[Entry], float]]] = {
        "latency": ("ms", lambda e: 1e3 * e["latency_s"]),
        "energy": ("uJ an inference", lambda e: 1e6 * e["energy_j"]),
        "flash": ("bytes of flash", lambda e: e["flash_bytes"]),
        "ram": ("bytes of RAM", lambda e: e["ram_bytes"]),
    }
    entries = result["candidates"]
    for key, (unit, cost) in views.items():
        if key == "energy" and any(e["energy_j"] is None for e in entries):
            continue
        points = [
            (float(cost(e)), 100 * e["accuracy"], i) for i, e in enumerate(entries) if e["fits"]
        ]
        yield drawn(
            f"pareto_{key}",
            f"Accuracy against {key}",
            "Up and to the left is better; none beats one on the dotted line in both. Whether two "
            "differ in accuracy is in the table.",
            f"integers on {result['rows']} rows; cost modelled",
            unit,
            points,
            [e["name"] for e in entries],
        )

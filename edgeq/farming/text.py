"""A farm and a farm run, for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType

from edgeq.plain_text import plain
from edgeq.reporting.fitted import Column, Paragraph, name_column, table


def run_text(result: Mapping[str, Any]) -> RenderableType:
    """The table of cells, what went wrong, and where everything is."""
    result = plain(dict(result))
    columns = (
        name_column("model"),
        name_column("board"),
        name_column("where"),
        Column("rows", drop=1),
        Column("accuracy"),
        Column("mean ms"),
        Column("p95 ms", drop=2),
        Column("uJ", drop=3),
        Column("clock", right=False, drop=4),
        Column("state", right=False),
    )
    notes = [
        Paragraph(f"{row['model']} on {row['board']}: {row['why']}", style="yellow")
        for row in result["rows"]
        if row["why"]
    ]
    ends = [f"the runs, and all of it as a study: {result['run']}"]
    if result.get("page"):
        ends.append(f"page: {result['page']}")
    rows = [_row(row) for row in result["rows"]]
    return Group(table("", columns, rows), *notes, *map(Paragraph, ends))


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    accuracy = row["accuracy"]
    return (
        row["model"],
        row["board"],
        row["where"] or "-",
        _number(row["samples"], ",d"),
        "-" if accuracy is None else f"{100 * accuracy:.1f}%",
        _number(row["latency_ms"], ".4g"),
        _number(row["p95_ms"], ".4g"),
        _number(row["energy_uj"], ".3g"),
        row["source"] or "-",
        row["state"],
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def list_text(facts: Mapping[str, Any]) -> RenderableType:
    """The places of a coordinator."""
    facts = plain(dict(facts))
    if not facts["places"]:
        made = "make one with `labgrid-client -p NAME create` (docs/farm.md)"
        return Paragraph(f"the coordinator {facts['coordinator']} has no places; {made}")
    columns = (
        name_column("place"),
        name_column("board"),
        Column("held by", right=False),
        name_column("port"),
    )
    rows = [
        (p["name"], p["board"] or "-", p["holder"] or "free", " ".join(p["ports"]) or "-")
        for p in facts["places"]
    ]
    return table("", columns, rows)

"""`edgeq plan --diff`: two plans side by side, for a terminal."""

from typing import Any

from rich.console import Group, RenderableType

from edgeq.plain_text import plain
from edgeq.reporting.fitted import Column, Paragraph, name_column, table


def diff_text(found: dict[str, Any], a: object, b: object) -> RenderableType:
    """The same object as `--json`: layers whose widths differ, and the predictions."""
    found = plain(found)
    sides = [Paragraph(str(a), "A  "), Paragraph(str(b), "B  ")]
    columns = (name_column("layer"), Column("A", right=False), Column("B", right=False))
    rows = [(row["layer"], row["a"] or "-", row["b"] or "-") for row in found["layers"]]
    differ = f"{len(rows)} of {len(rows) + found['same']} layers have other widths"
    figures = [
        (f["name"], f"{f['a']:,.6g}", f"{f['b']:,.6g}", _change(f["change"]))
        for f in found["figures"]
    ]
    costs = (name_column("predicted"), *map(Column, ("A", "B", "change")))
    return Group(
        *sides,
        Paragraph(differ),
        *([table("", columns, rows)] if rows else []),
        *([table("", costs, figures)] if figures else []),
        *(Paragraph(f"note: {note}", style="yellow") for note in found["notes"]),
    )


def _change(change: float | None) -> str:
    return "" if change is None else f"{100 * change:+.1f}%"

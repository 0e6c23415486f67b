"""Two studies side by side, for a terminal."""

from typing import Any

from rich.console import Group, RenderableType

from edgeq.comparing.studies import SHOWN
from edgeq.plain_text import plain
from edgeq.reporting.fitted import Column, Paragraph, name_column, table


def studies_text(result: dict[str, Any]) -> RenderableType:
    """The same object as `--json`: what changed, row by row."""
    result = plain(result)
    sides = [
        Paragraph(
            f"{side['folder']}: {side['model']} on {side['board'] or 'no board'}", f"{name}  "
        )
        for name, side in (("A", result["a"]), ("B", result["b"]))
    ]
    head = (
        f"edgeq {result['study']}: {result['rows']} rows in both, {len(result['only_a'])} in A "
        f"alone, {len(result['only_b'])} in B alone; {len(result['changes'])} values differ"
    )
    columns = (
        name_column("/".join(result["keys"])),
        Column("what", right=False),
        *map(Column, ("A", "B", "change")),
    )
    rows = [
        ("/".join(c["row"]), c["column"], _value(c["a"]), _value(c["b"]), _change(c["change"]))
        for c in result["changes"][:SHOWN]
    ]
    more = len(result["changes"]) - SHOWN
    rest = [Paragraph(f"... and {more} more; --json has all")] if more > 0 else []
    notes = [Paragraph(f"note: {note}", style="yellow") for note in result["notes"]]
    found = [table("", columns, rows)] if rows else []
    return Group(*sides, Paragraph(head), *found, *rest, *notes)


def _value(value: object) -> str:
    return f"{value:.6g}" if type(value) is float else "-" if value is None else str(value)


def _change(change: float | None) -> str:
    return "" if change is None else f"{100 * change:+.1f}%"

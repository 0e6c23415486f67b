"""A comparison for a terminal: a line and a verdict a metric."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from edgeq.plain_text import plain
from edgeq.reporting.fitted import Column, FittedTable, Paragraph, Row, name_column
from edgeq.reporting.profile_text import alone_rows, joules, milliseconds, percent, signals_table

COLUMNS = ("A", "B", "change", "95% interval", "p")


def compare_text(result: dict[str, Any]) -> RenderableType:
    """The same object as `--json`, for people."""
    result = plain(result)
    parts: list[RenderableType] = [_side("A", result["a"]), _side("B", result["b"])]
    parts += [Paragraph(_method(result)), Text(), _table(result["metrics"]), Text()]
    parts += [part for letter in ("A", "B") for part in _alone(letter, result[letter.lower()])]
    parts += [Paragraph(f"note: {note}", style="yellow") for note in result["notes"]]
    parts += [_rule(rule) for rule in result["fail_if"]]
    return Group(*parts)


def _side(letter: str, side: dict[str, Any]) -> Paragraph:
    flags = " ".join(f for f in side["flags"] or () if f.startswith(("-O", "-D")))
    build = f"{side['compiler'] or 'unknown build'} {flags}".strip()
    where = f"{side['model']} on {side['board']}, {side['clock_hz'] / 1e6:g} MHz, {build}"
    return Paragraph(f"{side['folder']}: {where}", f"{letter}  ", label_style="bold")


def _alone(letter: str, side: dict[str, Any]) -> list[RenderableType]:
    """Each expert of a side alone, and what tells an error, as its own profile has them."""
    if not side.get("alone"):
        return []
    columns = (
        name_column(f"{letter}: each alone"),
        *map(Column, ("accuracy", "mean ms", "energy")),
    )
    rows = tuple(Row(cells) for cells in alone_rows(side["alone"]))
    said = Paragraph(side["alone"]["gain"]["said"])
    doubts = signals_table(side["signals"], f"{letter}: ")
    return [FittedTable("", columns, rows), said, Text(), doubts, Text()]


def _method(result: dict[str, Any]) -> str:
    sources = {m["name"]: m["source"] for m in result["metrics"]}
    said = [f"{name} {sources[name]}" for name in ("latency", "energy") if name in sources]
    return (
        f"{result['pairs']:,} inputs in both, {result['routes_changed']:,} took another route; "
        f"{result['resamples']:,} paired resamples, seed {result['seed']}; {', '.join(said)}"
    )


def _table(metrics: list[dict[str, Any]]) -> FittedTable:
    verdict = Column("verdict", right=False, words=True)
    columns = (name_column("metric"), *map(Column, COLUMNS), verdict)
    rows = []
    for m in metrics:
        values = (_value(m["a"], m["unit"]), _value(m["b"], m["unit"]))
        test = (_interval(m["interval"]), "" if m["p"] is None else f"{m['p']:.3f}")
        cells = (_name(m), *values, _change(m), *test, m["verdict"])
        rows.append(Row(cells, last_style="bold" if m["shown"] else ""))
    return FittedTable("", columns, tuple(rows), gap=1)  # leaves a verdict its line


def _name(metric: dict[str, Any]) -> str:
    return (
        f"{metric['name']}, {metric['unit']}" if metric["unit"] in ("ms", "B") else metric["name"]
    )


def _value(value: float, unit: str) -> str:
    forms = {"ms": milliseconds, "J": joules, "share": percent}
    return forms[unit](value) if unit in forms else f"{value:,.0f}"


def _change(metric: dict[str, Any]) -> str:
    if metric["change"] is None:
        return "-"
    return f"{metric['change'] * 100:+.2f}{' pt' if metric['unit'] == 'share' else '%'}"


def _interval(ends: list[float] | None) -> str:
    return "" if ends is None else f"{ends[0] * 100 - 100:+.2f} to {ends[1] * 100 - 100:+.2f}%"


def _rule(rule: dict[str, Any]) -> Paragraph:
    word, style = ("FAIL", "bold red") if rule["holds"] else ("pass", "green")
    unit = " pt" if rule["rule"].endswith("pt") else "%"
    said = f"{rule['rule']}: {rule['change'] * 100:+.2f}{unit}"
    return Paragraph(said, f"{word}  ", label_style=style)

"""The report for a terminal: no plotting library is needed."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.plain_text import one_line
from edgeq.reporting import sources
from edgeq.reporting.figures.figure import Subject
from edgeq.reporting.figures.pareto import front
from edgeq.reporting.profile_text import joules, milliseconds, percent, profile_text

BAR = 30  # characters of a full bar


def report_text(subjects: Sequence[Subject], names: Sequence[str]) -> RenderableType:
    """What the page says, each run after the other; several are compared first."""
    parts: list[RenderableType] = []
    if len(subjects) > 1:
        parts += [_runs(subjects, names), Text()]
    for subject in subjects:
        parts += [profile_text(subject.summary), Text(), *_memory(subject), *_sources(subject)]
        parts.append(Text())
    return Group(*parts)


def _runs(subjects: Sequence[Subject], names: Sequence[str]) -> Table:
    """A line a run; a star where no other run has less latency and more right answers."""
    points = {
        i: (s.summary["latency"]["mean"], s.summary["accuracy"])
        for i, s in enumerate(subjects)
        if s.summary["latency"]["mean"] is not None and s.summary["accuracy"] is not None
    }
    best = front(list(points.values()))
    table = Table(title="Runs (*: none beats it)", title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(("run", "", "accuracy", "mean ms", "p99 ms", "energy", "source")):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for i, (subject, name) in enumerate(zip(subjects, names, strict=True)):
        latency, energy = subject.summary["latency"], subject.summary["energy"]
        star = "*" if points.get(i) in best else ""
        row = (star, percent(subject.summary["accuracy"]), milliseconds(latency["mean"]))
        tail = (milliseconds(latency["p99"]), joules(energy["joules_mean"]), latency["source"])
        table.add_row(Text(one_line(name)), *row, *tail)
    return table


def _memory(subject: Subject) -> list[RenderableType]:
    memory: dict[str, Any] = subject.summary.get("memory") or {}
    parts = memory.get("flash") or {}
    if not parts:
        return []
    table = Table(title="Flash", title_justify="left", box=None, pad_edge=False)
    table.add_column("part")
    table.add_column("bytes", justify="right")
    table.add_column("")
    most = max(parts.values())
    for name, size in parts.items():
        table.add_row(Text(one_line(name)), f"{size:,}", "#" * round(BAR * size / most))
    table.add_row("in all", f"{sum(parts.values()):,}", "")
    return [table, Text(f"arena    {memory['arena_bytes']:,} B")]


def _sources(subject: Subject) -> list[RenderableType]:
    return [
        Text(f"latency  {sources.latency_source(subject.run, subject.summary)}"),
        Text(f"energy   {sources.energy_source(subject.summary)}"),
    ]

"""The report for a terminal: no plotting library is needed."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from edgeq.plain_text import one_line
from edgeq.reporting import sources
from edgeq.reporting.figures.figure import ReportedRun
from edgeq.reporting.figures.pareto import front
from edgeq.reporting.fitted import Column, FittedTable, Paragraph, name_column, table
from edgeq.reporting.profile_text import joules, milliseconds, percent, profile_text

BAR = 30  # characters of a full bar


def report_text(
    subjects: Sequence[ReportedRun], names: Sequence[str], verbose: bool = False
) -> RenderableType:
    """What the page says, each run after the other; several are compared first."""
    parts: list[RenderableType] = []
    if len(subjects) > 1:
        parts += [_runs(subjects, names), Text()]
    for subject in subjects:
        parts += [profile_text(subject.summary, verbose), Text(), *_memory(subject)]
        parts += [*(_sources(subject) if verbose else ()), Text()]
    return Group(*parts)


def _runs(subjects: Sequence[ReportedRun], names: Sequence[str]) -> FittedTable:
    """A line a run; a star where no other run has less latency and more right answers."""
    points = {
        i: (s.summary.latency.mean, s.summary.accuracy)
        for i, s in enumerate(subjects)
        if s.summary.latency.mean is not None and s.summary.accuracy is not None
    }
    best = front(list(points.values()))
    titles = ("", "accuracy", "mean ms", "p99 ms", "energy", "source")
    rows = []
    for i, (subject, name) in enumerate(zip(subjects, names, strict=True)):
        latency, energy = subject.summary.latency, subject.summary.energy
        star = "*" if points.get(i) in best else ""
        row = (star, percent(subject.summary.accuracy), milliseconds(latency.mean))
        tail = (milliseconds(latency.p99), joules(energy.joules_mean), latency.source)
        rows.append((one_line(name), *row, *tail))
    return table("Runs (*: none beats it)", (name_column("run"), *map(Column, titles)), rows)


def _memory(subject: ReportedRun) -> list[RenderableType]:
    memory = subject.summary.memory
    if memory is None or not memory.flash:
        return []
    parts = memory.flash
    most = max(parts.values())
    rows = [
        (one_line(name), f"{size:,}", "#" * round(BAR * size / most))
        for name, size in parts.items()
    ]
    rows.append(("in all", f"{sum(parts.values()):,}", ""))
    columns = (name_column("part"), Column("bytes"), Column("", right=False))
    return [table("Flash", columns, rows), Paragraph(f"arena    {memory.arena_bytes:,} B")]


def _sources(subject: ReportedRun) -> list[RenderableType]:
    return [
        Paragraph(one_line(sources.latency_source(subject.run, subject.summary)), "latency  "),
        Paragraph(one_line(sources.energy_source(subject.summary)), "energy   "),
    ]

"""Progress bars for a terminal."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def sample_bar(console: Console) -> Iterator[Callable[[int, int, float], None]]:
    """Yields show(samples done, samples in all, accuracy so far, NaN where there is none)."""
    columns = (
        TextColumn("profiling"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[score]}"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=None, score="")

        def show(done: int, total: int, accuracy: float) -> None:
            score = "" if math.isnan(accuracy) else f"accuracy {accuracy:.1%}"
            progress.update(task, completed=done, total=total, score=score)

        yield show


@contextmanager
def step_bar(console: Console) -> Iterator[Callable[[int, int, str], None]]:
    """Yields show(steps done, steps in all, name of the next one); the bar ends with the block."""
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[name]}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=None, name="")

        def show(done: int, total: int, name: str) -> None:
            progress.update(task, completed=done, total=total, name=name)

        yield show


@contextmanager
def flash_bar(console: Console) -> Iterator[Callable[[float | None, str], None]]:
    """Yields show(0..1, or None while that is not known; what is done now)."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=None)

        def show(done: float | None, what: str) -> None:
            total = None if done is None else 1.0
            progress.update(task, completed=done or 0.0, total=total, description=what)

        yield show

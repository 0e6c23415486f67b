"""A progress bar on stderr, so that stdout stays free for --json."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def bar(what: str, total: int, show: bool) -> Iterator[Callable[[str], None]]:
    """`advance(state)` counts one of `total` done; the time that is left stands at the end."""
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not show) as progress:
        task = progress.add_task(what, total=total, state="")

        def advance(state: str) -> None:
            progress.update(task, advance=1, state=state)

        yield advance

"""Live bars of the classes on a terminal; nothing where there is none."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.live import Live
from rich.text import Text

from edgeq.listening.events import Event, Heard, cut, event_line, fitted, route_name

REFRESH_S = 0.08
MOST_COLUMNS = 80
NAME, SCORE = 16, 7
FULL, PART = "█", " ▏▎▍▌▋▊▉"


def bar(share: float, columns: int) -> str:
    """A bar of eighths of a column, as wide as `columns`.

    >>> bar(0.5, 4), bar(1 / 32, 4)
    ('██  ', '▏   ')
    """
    eighths = round(min(1.0, max(0.0, share)) * columns * 8)
    whole, part = divmod(eighths, 8)
    return (FULL * whole + (PART[part] if part else "")).ljust(columns)


def picture(
    names: Sequence[str],
    heard: Heard | None,
    at_s: float,
    of_s: float,
    columns: int,
    rows: int,
    experts: Sequence[str] = (),
) -> list[str]:
    """The time and who answered, then a line a class, each of at most `columns`; of more classes
    than `rows` hold, those with the largest scores.
    """
    took = "waiting for a window" if heard is None else f"{heard.latency_s * 1e3:.1f} ms"
    route = ""
    if heard is not None and heard.route >= 0:
        by = cut(route_name(heard.route, experts), NAME)
        route = f"   {by}, uncertainty {heard.uncertainty:.4g}"
    head = f"{at_s:9.2f} / {of_s:.2f} s   {took}{route}"
    scores = np.zeros(len(names)) if heard is None else heard.scores
    most = max(1, rows - 2)
    shown = sorted(np.argsort(-scores, kind="stable")[:most])
    wide = max(4, columns - NAME - SCORE - 2)
    lines = [
        f"{fitted(names[i], NAME)} {bar(float(scores[i]), wide)} {scores[i]:{SCORE}.1%}"
        for i in shown
    ]
    return [
        line if cell_len(line) <= columns else set_cell_size(line, columns)
        for line in (head, *lines)
    ]


class Screen:
    """What is shown while a sound is heard."""

    def __init__(self, console: Console, live: Live) -> None:
        self._console, self._live = console, live
        self._names: tuple[str, ...] = ()
        self._experts: tuple[str, ...] = ()
        self._of_s, self._drawn = 0.0, 0.0

    def begin(self, names: tuple[str, ...], of_s: float, experts: tuple[str, ...] = ()) -> None:
        """The classes, the length of the sound and the experts are known."""
        self._names, self._of_s, self._experts = names, of_s, experts
        self.answer(None, 0.0)

    def answer(self, heard: Heard | None, at_s: float) -> None:
        """Draws a few times a second at most."""
        now = time.monotonic()
        if not self._console.is_terminal or now - self._drawn < REFRESH_S:
            return
        self._drawn = now
        columns, rows = min(self._console.width, MOST_COLUMNS), self._console.height
        size = columns, rows
        lines = picture(self._names, heard, at_s, self._of_s, *size, self._experts)
        self._live.update(Text("\n".join(lines), no_wrap=True), refresh=True)

    def event(self, event: Event) -> None:
        """A line above the bars."""
        self._console.print(Text(event_line(event, self._experts)), soft_wrap=True)


@contextmanager
def screen(console: Console) -> Iterator[Screen]:
    """Bars from the first answer on; they are gone after the block."""
    live = Live(console=console, auto_refresh=False, transient=True)
    if not console.is_terminal:
        yield Screen(console, live)
        return
    with live:
        yield Screen(console, live)

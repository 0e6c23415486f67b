"""What is heard: answers become events, and events lines of a CSV file."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from rich.cells import cell_len, set_cell_size

from edgeq.errors import BadInput
from edgeq.ops.op import Array

BEGINS, ENDS = "begins", "ends"


@dataclass(frozen=True)
class Event:
    """A class begins or ends to be heard at `time_s` of the sound, in row `hop`. `score`: its own
    there, 0 to 1. `route`: the expert that answered, -1 without several; `uncertainty`: of the
    decision, 0 without one. `cycles`: the board's own, `latency_ms` from sending to the answer.
    """

    time_s: float
    hop: int
    event: str
    name: str
    score: float
    route: int
    uncertainty: float
    cycles: int
    latency_ms: float


@dataclass(frozen=True)
class Frame:
    """An answer as a line of --frames: the largest score and its class, the rest as of `Event`."""

    time_s: float
    hop: int
    name: str
    score: float
    route: int
    uncertainty: float
    cycles: int
    latency_ms: float


@dataclass(frozen=True)
class Heard:
    """An answer: `scores` (classes,), and what an event tells of the row."""

    hop: int
    time_s: float
    scores: Array
    route: int
    uncertainty: float
    cycles: int
    latency_s: float


class Ear:
    """Follows the answers: the class with the largest score is heard from `threshold` on."""

    def __init__(self, names: Sequence[str], threshold: float) -> None:
        if not 0 < threshold <= 1:
            raise BadInput(f"--threshold {threshold:g}: give a score above 0, up to 1")
        self._names, self._threshold = names, threshold
        self._now: int | None = None

    def hear(self, heard: Heard) -> tuple[Event, ...]:
        """What changed with this answer: an end, a beginning, or both in that order."""
        best = int(heard.scores.argmax())
        now = best if heard.scores[best] >= self._threshold else None
        before, self._now = self._now, now
        if now == before:
            return ()
        changes = ((before, ENDS), (now, BEGINS))
        return tuple(self._event(heard, c, what) for c, what in changes if c is not None)

    def frame(self, heard: Heard) -> Frame:
        """The answer as it is kept."""
        return Frame(**self._cells(heard, int(heard.scores.argmax())))

    def _event(self, heard: Heard, index: int, what: str) -> Event:
        return Event(event=what, **self._cells(heard, index))

    def _cells(self, heard: Heard, index: int) -> dict[str, Any]:
        """What both say of a class."""
        return {
            "time_s": round(heard.time_s, 6),
            "hop": heard.hop,
            "name": self._names[index],
            "score": round(float(heard.scores[index]), 4),
            "route": heard.route,
            "uncertainty": round(heard.uncertainty, 9),
            "cycles": heard.cycles,
            "latency_ms": round(heard.latency_s * 1e3, 3),
        }


def _header(of: type[Event] | type[Frame]) -> bytes:
    return ",".join("class" if f.name == "name" else f.name for f in fields(of)).encode() + b"\n"


HEADER, FRAME_HEADER = _header(Event), _header(Frame)


def csv_line(event: Event | Frame) -> bytes:
    """RFC 4180, with a line feed at the end; names hold none.

    >>> csv_line(Event(0.5, 31, "begins", "yes, please", 0.75, -1, 0.0, 100, 1.5))
    b'0.5,31,begins,"yes, please",0.75,-1,0.0,100,1.5\\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(asdict(event).values())
    return text.getvalue().encode()


def event_line(event: Event, experts: Sequence[str] = ()) -> str:
    """For a terminal, at most 80 columns; `experts`: the names that routes are shown by."""
    by = f"  {cut(route_name(event.route, experts), ROUTE_COLUMNS)}" if event.route >= 0 else ""
    return (
        f"{event.time_s:10.3f} s  {event.event:6}  {fitted(event.name, NAME_COLUMNS)}"
        f"  {event.score:6.1%}  {event.latency_ms:7.1f} ms{by}"
    )


def route_name(route: int, experts: Sequence[str]) -> str:
    """The expert's name, or the route's number where names are not known."""
    return experts[route] if route < len(experts) else f"route {route}"


def cut(name: str, columns: int) -> str:
    """As much of it as `columns` of a terminal hold, where some characters take two."""
    if cell_len(name) <= columns:
        return name
    return set_cell_size(name, columns - 1).rstrip() + "…"


def fitted(name: str, columns: int) -> str:
    """The same, filled up with spaces.

    >>> fitted("hum", 5), fitted("a long name", 5), fitted("犬の声", 5)
    ('hum  ', 'a lo…', '犬の…')
    """
    return set_cell_size(cut(name, columns), columns)


NAME_COLUMNS, ROUTE_COLUMNS = 20, 16

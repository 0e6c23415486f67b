"""Detections of a wake word against where it was said, counted as MLPerf Tiny's runner does.

Its rules (mlcommons/tiny, benchmark/runner/streaming_ww_utils.py): a window is hit by a detection
from its start to a second behind its end; what hits one hits no other. Of the rest each is a false
positive that hides those of the next second.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeq.errors import BadInput
from edgeq.listening.events import BEGINS, Event
from edgeq.plain_json import read_json

LATE_S = DEBOUNCE_S = 1.0
Window = tuple[float, float]


@dataclass(frozen=True)
class Counts:
    """Seconds: starts of windows that were hit, and missed; detections where nothing was said."""

    true_positives: tuple[float, ...]
    false_negatives: tuple[float, ...]
    false_positives: tuple[float, ...]


@dataclass(frozen=True)
class Truth:
    """The class that is the wake word, and when it is said."""

    name: str
    windows: tuple[Window, ...]

    def entry(self, events: Sequence[Event]) -> dict[str, Any]:
        """For a summary's JSON."""
        heard = [e.time_s for e in events if e.event == BEGINS and e.name == self.name]
        return {"class": self.name, **asdict(counted(heard, self.windows))}


def counted(detections_s: Sequence[float], windows: Sequence[Window]) -> Counts:
    """`detections_s` ascending, from the beginning of the sound as the windows are.

    >>> counted([1.5, 3.0, 7.0, 7.5, 8.5], [(1.0, 2.0), (5.0, 5.5)])
    Counts(true_positives=(1.0,), false_negatives=(5.0,), false_positives=(7.0, 8.5))
    """
    left = list(detections_s)
    hit: list[float] = []
    missed: list[float] = []
    for start, stop in windows:
        inside = [at for at in left if start <= at <= stop + LATE_S]
        (hit if inside else missed).append(start)
        left = [at for at in left if at not in inside]
    false: list[float] = []
    for at in left:
        if not false or at > false[-1] + DEBOUNCE_S:
            false.append(at)
    return Counts(tuple(hit), tuple(missed), tuple(false))


def read_truth(path: Path, names: Sequence[str], wake: str | None) -> Truth:
    """A JSON list of [start, stop] in seconds; `wake` is one of `names`, without it their first.

    Raises BadInput for anything else.
    """
    name = names[0] if wake is None else wake
    if name not in names:
        raise BadInput(f"--wake {name}: the model has {', '.join(names)}")
    try:
        data = read_json(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}") from None
    windows = [_window(one) for one in data] if isinstance(data, list) else [None]
    if None in windows:
        raise BadInput(f"{path}: give a JSON list of [start, stop] in seconds, start up to stop")
    return Truth(name, tuple(one for one in windows if one is not None))


def _window(one: object) -> Window | None:
    if not isinstance(one, list) or len(one) != 2:
        return None
    if any(isinstance(at, bool) or not isinstance(at, int | float) for at in one):
        return None
    start, stop = map(float, one)
    return (start, stop) if 0 <= start <= stop < float("inf") else None

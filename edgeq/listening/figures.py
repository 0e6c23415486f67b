"""What a listening took: latency a hop, whether board and link keep up with the sound."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.board import Board
from edgeq.harness.exchange import LinkStatistics
from edgeq.harness.messages import Info
from edgeq.harness.profile_summary import NO_COUNTER
from edgeq.listening.events import Event
from edgeq.listening.hearing import Hearing
from edgeq.reporting.power import power
from edgeq.reporting.statistics import latency_source
from edgeq.sound import Sound

FAST_BAUD = 921_600


@dataclass(frozen=True)
class Line:
    """`carries`: seconds of sound a second, at most; None of a port without a rate."""

    baud: int
    virtual: bool
    carries: float | None

    def words(self, paced: bool) -> tuple[str, ...]:
        """What is known before the first hop: nothing where the line is fast enough."""
        if self.carries is None or self.carries >= 1:
            return ()
        faster = ""
        if self.baud < FAST_BAUD:
            faster = (
                "; firmware, UART or port refused more by themselves: "
                f"`edgeq flash --baud {FAST_BAUD}`, then `listen --baud {FAST_BAUD}`"
            )
        slow = "it falls behind" if paced else "it takes longer than the sound"
        return (
            f"slower than sound: {self.baud:,} baud carry {self.carries:.2f} of it at most, so "
            f"that {slow}{faster}",
        )


@dataclass
class Pace:
    """When each row may go, as a microphone would have it, and what its answer took. Seconds.

    `late` counts rows whose answer came after the next row was complete: where a microphone fills
    buffers, each is one overrun more.
    """

    hop_s: float
    first_s: float
    paced: bool
    began: float = 0.0
    late: int = 0
    behind_s: float = 0.0
    took: list[float] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)

    @property
    def hops(self) -> int:
        """Rows answered."""
        return len(self.took)

    def begin(self) -> None:
        """The sound starts now."""
        self.began = time.monotonic()

    def wait(self, index: int) -> None:
        """Until the row's last sample is there."""
        left = self._there(index) - time.monotonic()
        if self.paced and left > 0:
            time.sleep(left)

    def answered(self, index: int, took_s: float, cycles: int) -> None:
        """The row `index` was answered just now, `took_s` after it was sent."""
        self.took.append(took_s)
        self.cycles.append(cycles)
        if self.paced:
            self.behind_s = max(0.0, time.monotonic() - self._there(index + 1))
            self.late += self.behind_s > 0

    def _there(self, index: int) -> float:
        return self.began + self.first_s + index * self.hop_s


@dataclass(frozen=True)
class Figures:
    """What stands before the first row."""

    wav: Path
    hearing: Hearing
    sound: Sound
    info: Info
    board: Board | None

    def entry(
        self,
        pace: Pace,
        events: Sequence[Event],
        line: Line,
        statistics: LinkStatistics,
        log: Path | None,
        frames: Path | None,
        stopped: str | None,
    ) -> dict[str, Any]:
        """The summary, for JSON; times None where nothing was answered, or the board counts no
        cycles. `board_late_hops`: by the board's own clock, the line aside. `joules_a_second`,
        modelled: asleep between hops. `real_time_factor`: seconds of sound that board and link take
        in a second.
        """
        hop_s, hops = self.hearing.hop_s, pace.hops
        source = latency_source(self.board, pace.cycles, line.virtual)
        return {
            "wav": str(self.wav),
            "board": self.info.board,
            "model": self.info.model,
            "converted": list(self.sound.said),
            "sound_s": self.sound.seconds,
            "heard_s": self.hearing.heard_s(hops - 1) if hops else 0.0,
            "rate_hz": self.hearing.rate_hz,
            "hop_s": hop_s,
            "hops": hops,
            "answers": max(0, hops - self.hearing.first),
            "events": [asdict(event) for event in events],
            "latency_ms": _spread(np.array(pace.took)) if hops else None,
            **self._of_board(pace.cycles, source),
            "real_time_factor": hops * hop_s / sum(pace.took) if hops else None,
            "paced": pace.paced,
            "late_hops": pace.late if pace.paced else None,
            "behind_s": pace.behind_s if pace.paced else None,
            "virtual": line.virtual,
            "baud": line.baud,
            "line_carries": line.carries,
            "link": asdict(statistics),
            "log": None if log is None else str(log),
            "frames": None if frames is None else str(frames),
            "stopped": stopped,
        }

    def _of_board(self, cycles: Sequence[int], source: str) -> dict[str, Any]:
        """By the board's own clock: times, late hops, the share of a hop, power."""
        hop_s, clock_hz = self.hearing.hop_s, self.info.clock_hz
        busy_s = np.array(cycles) / clock_hz
        counted = len(cycles) and source != NO_COUNTER
        board_ms = _spread(busy_s) if counted else None
        figures = self.board.energy if self.board else None
        return {
            "board_ms": board_ms,
            "board_source": source,
            "board_late_hops": by_own_clock(busy_s.tolist(), hop_s)[0] if counted else None,
            "board_share": board_ms["mean"] / 1e3 / hop_s if board_ms else None,
            **power(cycles, hop_s, clock_hz, figures, source),
        }


def by_own_clock(busy_s: Sequence[float], hop_s: float) -> tuple[int, float]:
    """(late rows, seconds behind after the last) of a board that gets a row every `hop_s` and is
    busy with each for `busy_s`: late is a row that is done after the next one is there.

    >>> by_own_clock([0.5, 1.5, 0.25, 0.25], 1.0)
    (1, 0.0)
    >>> by_own_clock([1.25] * 4, 1.0)
    (4, 1.0)
    """
    late, done = 0, 0.0
    for index, busy in enumerate(busy_s):
        done = max(done, index * hop_s) + busy
        late += done > (index + 1) * hop_s
    return late, max(0.0, done - len(busy_s) * hop_s)


def _spread(seconds: np.ndarray[Any, Any]) -> dict[str, float]:
    p95 = float(np.percentile(seconds, 95))
    values = {"mean": float(seconds.mean()), "p95": p95, "worst": float(seconds.max())}
    return {name: value * 1e3 for name, value in values.items()}

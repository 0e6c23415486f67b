"""The one interface of every current meter, and the capture that streaming meters share."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edgeq.errors import EdgeqError, Meter
from edgeq.harness.power_trace import PowerTrace

if TYPE_CHECKING:
    from edgeq.board import Board

SILENCE_S = 2.0  # no meter here pauses that long between two samples
SLACK_S = 10.0  # what a wait may take beyond the samples it waits for, each second twice
_CALM_S = 0.005


@dataclass(frozen=True)
class MeterRequest:
    """How to open a meter. None: the only port there is, the meter's own default."""

    port: str | None = None
    volts: float | None = None
    rate_hz: int | None = None
    board: "Board | None" = None  # the model meter's energy per cycle
    clock_hz: int | None = None


class Session(Protocol):
    """A capture under way, as the work inside sees it."""

    def seconds(self) -> float:
        """Captured so far, by the meter's clock. Raises Meter when the capture has failed."""

    def wait(self, seconds: float) -> None:
        """Returns when so much more is captured. Raises Meter when it does not come."""

    def ran(self, cycles: int) -> None:
        """Tells of an inference: the model meter has no other way to know."""


Work = Callable[[Session], None]


class CurrentMeter(Protocol):
    """A current meter that is open; it supplies the board, if it can, until it is closed."""

    title: str

    def capture(self, work: Work) -> PowerTrace:
        """Records while `work` runs. Raises Meter for whatever goes wrong on the way."""

    def close(self) -> None:
        """Ends the supply and lets go of the meter."""


class Recording:
    """What a decoder has made of the bytes so far. One thread writes, others read `samples`."""

    def __init__(self, rate_hz: float, levels: bool) -> None:
        self.rate_hz = rate_hz
        self.samples = 0
        self.ended = False
        self.falls: list[int] = []
        self.rises: list[int] | None = [] if levels else None
        self.lost: list[str] = []
        self._chunks: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
        self._volts: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []

    def add(self, current_a: np.typing.ArrayLike, voltage_v: np.typing.ArrayLike) -> None:
        """Appends samples; `voltage_v` is one number, or one a sample."""
        current = np.asarray(current_a, np.float64)
        self._chunks.append(current)
        self._volts.append(np.broadcast_to(np.asarray(voltage_v, np.float64), current.shape))
        self.samples += len(current)

    def lose(self, what: str) -> None:
        """Notes a loss, once for each kind of it."""
        if len(self.lost) < 10 and what not in self.lost:
            self.lost.append(what)

    def trace(self, title: str, started: str) -> PowerTrace:
        """Everything so far."""
        nothing = [np.empty(0)]
        return PowerTrace(
            meter=title,
            current_a=np.concatenate(self._chunks or nothing),
            voltage_v=np.concatenate(self._volts or nothing),
            falls=np.array(self.falls, np.int64),
            rises=None if self.rises is None else np.array(self.rises, np.int64),
            rate_hz=self.rate_hz,
            started=started,
            lost=tuple(self.lost),
        )


class Pump:
    """Calls `step` in a thread until told to end; a Session over the recording it fills.

    `step` waits a moment at most and returns whether anything arrived.
    """

    def __init__(self, title: str, recording: Recording, step: Callable[[], bool]) -> None:
        self._title, self._recording, self._step = title, recording, step
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=title, daemon=True)
        self._thread.start()

    def seconds(self) -> float:
        """Captured so far."""
        if self._error is not None:
            raise self._error
        return self._recording.samples / self._recording.rate_hz

    def wait(self, seconds: float) -> None:
        """Sleeps until so much more is captured."""
        until = self.seconds() + seconds
        deadline = time.monotonic() + 2 * seconds + SLACK_S
        while self.seconds() < until:
            if time.monotonic() > deadline:
                raise Meter(
                    f"{self._title} sends too few samples: {self.seconds():.3f} s of them arrived "
                    f"where {until:.3f} s were due; lower --meter-rate"
                )
            time.sleep(_CALM_S)

    def ran(self, cycles: int) -> None:
        """The marker pin tells it all."""

    def end(self, timeout_s: float) -> None:
        """Waits until the recording says that it has ended, then stops."""
        deadline = time.monotonic() + timeout_s
        while not self._recording.ended and self._error is None and time.monotonic() < deadline:
            time.sleep(_CALM_S)
        self.kill()
        self.seconds()
        if not self._recording.ended:
            raise Meter(
                f"{self._title} did not end its capture within {timeout_s:g} s of being told to; "
                "unplug it and plug it in again"
            )

    def kill(self) -> None:
        """Stops, whatever the state."""
        self._stop.set()
        self._thread.join(SILENCE_S + 1)

    def _run(self) -> None:
        heard = time.monotonic()
        try:
            while not self._stop.is_set() and not self._recording.ended:
                if self._step():
                    heard = time.monotonic()
                elif time.monotonic() - heard > SILENCE_S:
                    raise Meter(
                        f"{self._title} fell silent after {self._recording.samples} samples: no "
                        f"byte in {SILENCE_S:g} s; check its cable"
                    )
        except EdgeqError as error:
            self._error = Meter(_in_words(self._title, error))
        except Exception as error:  # a driver's own kind: the capture is lost either way
            self._error = Meter(f"{self._title}: {error!r}")


def _in_words(title: str, error: EdgeqError) -> str:
    text = str(error)
    return text if text.startswith(title) else f"{title}: {text}"


def now() -> str:
    """The host's time of a capture, for the record."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")

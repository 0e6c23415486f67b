"""Sound that reaches a board's converter, at its rate in the guest's clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

Samples = np.ndarray[Any, np.dtype[np.int16]]


class Hearable(Protocol):
    """What lies at a converter's pin."""

    def heard(self, first: int, count: int, period_s: Fraction) -> Samples:
        """Samples `first` on of a converter that takes one every `period_s`: (count,) int16."""


@dataclass(frozen=True)
class Sound:
    """What the microphone hears from the moment that the converter starts; silence behind its end.

    `samples` (n,) int16 at `rate_hz`.
    """

    samples: Samples = field(default_factory=lambda: np.zeros(0, np.int16))
    rate_hz: int = 16_000

    def heard(self, first: int, count: int, period_s: Fraction) -> Samples:
        """Samples `first` on of a converter that takes one every `period_s`: the newest at each."""
        step = period_s * self.rate_hz
        if step == 1:
            at = np.arange(first, first + count)
        else:
            at = np.array([int((first + n) * step) for n in range(count)], np.int64)
        inside = at < len(self.samples)
        taken = np.zeros(count, np.int16)
        taken[inside] = self.samples[at[inside]]
        return taken


class Sampler:
    """A converter that runs: every `period` cycles a sample goes where `take(samples)` puts it.

    `room()` says how many samples that takes until something happens there (an interrupt).
    """

    def __init__(
        self,
        sound: Callable[[], Hearable],
        core_hz: Callable[[], int],
        room: Callable[[], int],
        take: Callable[[Samples], None],
    ) -> None:
        self._sound, self._core_hz, self._room, self._take = sound, core_hz, room, take
        self._began: int | None = None
        self._period = Fraction(1)
        self._taken = 0
        self._due: int | None = None  # asked far more often than it changes

    def start(self, now: int, period: Fraction) -> None:
        """From `now` on, cycles a sample; one that runs goes on as it is."""
        if self._began is None:
            self._began, self._period, self._taken = now, period, 0
            self._set_due()

    def stop(self) -> None:
        """No sample more."""
        self._began = self._due = None

    def due(self) -> int | None:
        """When the next thing happens at where the samples go."""
        return self._due

    def advance(self, now: int) -> None:
        """Take every sample up to `now`."""
        while self._began is not None:
            left = int((now - self._began) / self._period) - self._taken
            count = min(left, self._room())
            if count <= 0:
                return
            period_s = self._period / self._core_hz()
            samples = self._sound().heard(self._taken, count, period_s)
            self._taken += count
            self._take(samples)
            self._set_due()

    def _set_due(self) -> None:
        if self._began is not None:
            self._due = self._began + -(-(self._taken + self._room()) * self._period // 1)

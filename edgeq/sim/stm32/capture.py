"""Sound in on an STM32: a timer triggers an ADC, and DMA takes what it makes."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from edgeq.sim.bus import Bus
from edgeq.sim.sampling import Sampler, Samples
from edgeq.sim.stm32.dma import HalfwordsIn
from edgeq.sim.stm32.timer import Timer


class Adc(Protocol):
    """A family's converter."""

    changed: Callable[[int], None]

    @property
    def converts(self) -> bool:
        """Each trigger is a conversion that DMA takes."""

    def codes(self, samples: Samples) -> np.ndarray[Any, np.dtype[np.uint16]]:
        """What it makes of int16 levels."""


class Capture:
    """The chain: it samples while each of its parts is set up for it.

    `data`: the address of the ADC's data register. `divider()`: core cycles a tick of the timer.
    `routed()`: the ADC's requests reach the channel.
    """

    def __init__(
        self,
        bus: Bus,
        timer: Timer,
        adc: Adc,
        channel: HalfwordsIn,
        data: int,
        divider: Callable[[], int],
        routed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._bus, self._timer, self._adc, self._channel = bus, timer, adc, channel
        self._data, self._divider, self._routed = data, divider, routed
        self._sampler = Sampler(lambda: bus.sound, lambda: bus.core_hz, channel.room, self._take)
        timer.changed = adc.changed = channel.changed = self.changed
        channel.advance = self._sampler.advance
        bus.add_device(self._sampler, channel.LINE)

    def changed(self, now: int) -> None:
        """One of its parts was written to."""
        wanted = (
            self._timer.triggers
            and self._adc.converts
            and self._channel.enabled
            and self._channel.source == self._data
            and self._routed()
        )
        self._sampler.advance(now)
        if wanted:
            self._sampler.start(now, Fraction(self._timer.ticks * self._divider()))
        else:
            self._sampler.stop()
        self._bus.changed()

    def _take(self, samples: Samples) -> None:
        self._channel.take(self._adc.codes(samples))
        if not self._channel.room():  # not circular: it has ended
            self._sampler.stop()

"""ADC1 of STM32F4: one channel, triggered by a timer, taken by DMA (RM0390, 13.13)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate
from edgeq.sim.sampling import Samples

SR, CR1, CR2, SMPR1, SMPR2, SQR1, SQR2, SQR3 = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x2C, 0x30, 0x34
DR, COMMON_CCR = 0x4C, 0x304
ON = 1
DMA, TRIGGER_TIM3 = 3 << 8, 1 << 28 | 8 << 24  # DMA goes on behind the last transfer; rising edge
FASTEST_HZ = 36_000_000
SIZE = 0x400


class Adc(Block):
    """A microphone stands at whichever channel is asked for, its zero at half the supply."""

    def __init__(self, bus: Bus, base: int, gate: Gate, clock_hz: Callable[[], int]) -> None:
        offsets = (SR, CR1, CR2, SMPR1, SMPR2, SQR1, SQR2, SQR3, DR, COMMON_CCR)
        super().__init__(bus, "ADC1", base, dict.fromkeys(offsets, 0), gate)
        self._clock_hz = clock_hz
        self.changed: Callable[[int], None] = lambda _now: None

    @property
    def converts(self) -> bool:
        """Each trigger is a conversion that DMA takes."""
        return self.words[CR2] == ON | DMA | TRIGGER_TIM3

    def codes(self, samples: Samples) -> np.ndarray[Any, np.dtype[np.uint16]]:
        """What it makes of int16 levels: 12 bits from zero."""
        return ((samples.astype(np.int32) + 32768) >> 4).astype(np.uint16)

    def store(self, offset: int, value: int) -> None:
        """Only what is modelled, at a clock that it bears."""
        if why := self._refusal(offset, value):
            self.bus.refuse(f"it {why}")
        super().store(offset, value)
        self.changed(self.bus.now(False, self.base + offset))

    def _refusal(self, offset: int, value: int) -> str:
        if offset == CR1 and value:
            return "asks ADC1 for interrupts, scans or fewer bits, which are not modelled"
        if offset == CR2 and value not in (0, ON, ON | DMA | TRIGGER_TIM3):
            return "asks ADC1 for another mode than DMA on TIM3's trigger, which is not modelled"
        if offset == SQR1 and value:
            return "asks ADC1 for several channels, which are not modelled"
        clock = self._clock_hz() // (2 * (self.words[COMMON_CCR] >> 16 & 3) + 2)
        if offset == CR2 and value and clock > FASTEST_HZ:
            return f"clocks ADC1 at {clock} Hz, which takes {FASTEST_HZ} (ADCPRE)"
        return ""

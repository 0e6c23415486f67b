"""ADC1 of STM32L4+: one channel, triggered by a timer, taken by DMA (RM0432, 21.7)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate
from edgeq.sim.sampling import Samples

ISR, IER, CR, CFGR, CFGR2, SMPR1, SMPR2 = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14, 0x18
SQR1, DR, COMMON_CCR = 0x30, 0x40, 0x308
READY = 1
ENABLE, DISABLE, START, STOP = 1, 1 << 1, 1 << 2, 1 << 4
REGULATOR, DEEP_POWER_DOWN, CALIBRATE = 1 << 28, 1 << 29, 1 << 31
DMA_CIRCULAR, TRIGGER_TIM6 = 3, 1 << 10 | 13 << 6  # rising edge of EXT13
OVERWRITE = 1 << 12
OVERSAMPLED_16 = 1 | 3 << 2  # ratio 16, no shift: 16 bits
CLOCK_MODE = 3 << 16
REQUEST = 5  # of DMAMUX1
SIZE = 0x400


class Adc(Block):
    """A microphone stands at whichever channel is asked for, its zero at half the supply."""

    def __init__(self, bus: Bus, base: int, gate: Gate) -> None:
        offsets = (ISR, IER, CR, CFGR, CFGR2, SMPR1, SMPR2, SQR1, DR, COMMON_CCR)
        super().__init__(bus, "ADC1", base, dict.fromkeys(offsets, 0), gate)
        self.words[CR] = DEEP_POWER_DOWN
        self.changed: Callable[[int], None] = lambda _now: None

    @property
    def converts(self) -> bool:
        """Each trigger is a conversion that DMA takes."""
        return bool(self.words[CR] & START)

    def codes(self, samples: Samples) -> np.ndarray[Any, np.dtype[np.uint16]]:
        """What it makes of int16 levels: 12 bits from zero, or the sum of 16 of them."""
        code = (samples.astype(np.int32) + 32768) >> 4
        return (code * (16 if self.words[CFGR2] else 1)).astype(np.uint16)

    def load(self, offset: int) -> int:
        """Ready as soon as it is enabled."""
        if offset == ISR:
            return self.flag("ADRDY", READY) if self.words[CR] & ENABLE else 0
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Only what is modelled, and in the order that the manual asks for."""
        if why := self._refusal(offset, value):
            self.bus.refuse(f"it {why}")
        if offset == CR:
            self._control(value)
        elif offset != ISR:  # whose flags a 1 clears
            super().store(offset, value)
        self.changed(self.bus.now(False, self.base + offset))

    def _control(self, value: int) -> None:
        kept = value & ~(CALIBRATE | STOP | DISABLE)  # done at once
        kept = kept & ~START if value & STOP else kept
        self.words[CR] = kept & ~(ENABLE | START) if value & DISABLE else kept
        if value & CALIBRATE and "ADCAL" in self.bus.config.stuck:
            self.words[CR] |= CALIBRATE

    def _refusal(self, offset: int, value: int) -> str:
        if offset == IER and value:
            return "asks ADC1 for interrupts, which are not modelled"
        if offset == CFGR and value & ~OVERWRITE not in (0, DMA_CIRCULAR | TRIGGER_TIM6):
            return "asks ADC1 for another mode than DMA on TIM6's trigger, which is not modelled"
        if offset == CFGR2 and value not in (0, OVERSAMPLED_16):
            return "asks ADC1 for another oversampling than 16 times, which is not modelled"
        if offset == SQR1 and value & 0xF:
            return "asks ADC1 for several channels, which are not modelled"
        return self._too_early(value) if offset == CR else ""

    def _too_early(self, value: int) -> str:
        powered = value & REGULATOR and not value & DEEP_POWER_DOWN
        if value & (ENABLE | CALIBRATE) and not powered:
            return "uses ADC1 without its regulator (ADVREGEN, DEEPPWD)"
        if value & ENABLE and not self.words[COMMON_CCR] & CLOCK_MODE:
            return "uses ADC1 without a clock (CKMODE of the common CCR)"
        if value & START and not self.words[CR] & ENABLE:
            return "starts ADC1 before it is enabled"
        if value & START and not self.words[CFGR] & DMA_CIRCULAR:
            return "starts ADC1 without a trigger and DMA, which is not modelled"
        return ""

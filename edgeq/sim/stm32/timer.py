"""A basic timer of STM32 that counts up and triggers a converter (RM0432, 39; RM0390, 17)."""

from collections.abc import Callable

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate

CR1, CR2, DIER, SR, EGR, CNT, PSC, ARR = 0x00, 0x04, 0x0C, 0x10, 0x14, 0x24, 0x28, 0x2C
ENABLED, UPDATE_ONLY_OVERFLOW, PRELOAD = 1, 1 << 2, 1 << 7
TRIGGER, ON_UPDATE = 7 << 4, 2 << 4  # CR2.MMS
SIZE = 0x400


class Timer(Block):
    """TIM6, or what a general-purpose one shares with it: its trigger, no interrupt, no DMA of its
    own. `changed()` after each write.
    """

    def __init__(self, bus: Bus, name: str, base: int, gate: Gate) -> None:
        words = dict.fromkeys((CR1, CR2, DIER, SR, EGR, CNT, PSC), 0) | {ARR: 0xFFFF}
        super().__init__(bus, name, base, words, gate)
        self.changed: Callable[[int], None] = lambda _now: None

    @property
    def triggers(self) -> bool:
        """It runs, and each update is a trigger."""
        return bool(self.words[CR1] & ENABLED) and self.words[CR2] & TRIGGER == ON_UPDATE

    @property
    def ticks(self) -> int:
        """Of the timer's clock, from one update to the next."""
        return (self.words[PSC] + 1) * (self.words[ARR] + 1)

    def load(self, offset: int) -> int:
        """The counter is not kept: a firmware that reads it is told."""
        if offset == CNT:
            self.bus.refuse(f"it reads the counter of {self.name}, which is not modelled")
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Interrupts, DMA and one-shots are refused."""
        if offset == DIER and value:
            self.bus.refuse(f"it asks {self.name} for interrupts or DMA, which are not modelled")
        if offset == CR1 and value & ~(ENABLED | UPDATE_ONLY_OVERFLOW | PRELOAD):
            self.bus.refuse(f"it asks {self.name} for a mode that is not modelled")
        super().store(offset, 0 if offset == EGR else value)
        self.changed(self.bus.now(False, self.base + offset))

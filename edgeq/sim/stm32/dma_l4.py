"""DMA1's first channel and its request multiplexer on STM32L4+ (RM0432, 11.6 and 12.6)."""

from collections.abc import Callable
from typing import ClassVar

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate
from edgeq.sim.stm32.dma import HalfwordsIn

SIZE, MUX_SIZE = 0x18, 4


class Channel(HalfwordsIn):
    """DMA1, channel 1. Its flags and what asks for them stand at the same places."""

    NAME = "DMA1"
    OFFSETS = FLAGS, CLEAR, CONTROL, COUNT, SOURCE, MEMORY = tuple(range(0, SIZE, 4))
    DONE, HALF = 1 << 1, 1 << 2
    ENABLED, CIRCULAR, HALFWORDS = 1, 1 << 5, 1 << 7 | 1 << 8 | 1 << 10
    MODELLED = ENABLED | DONE | HALF | 1 << 3 | CIRCULAR | HALFWORDS | 3 << 12
    ASKS: ClassVar = {DONE: DONE, HALF: HALF}
    LINE = 11  # DMA1_CH1_IRQn


class Mux(Block):
    """Which request reaches the first channel."""

    def __init__(self, bus: Bus, base: int, gate: Gate) -> None:
        super().__init__(bus, "DMAMUX1", base, {0: 0}, gate)
        self.changed: Callable[[int], None] = lambda _now: None

    @property
    def request(self) -> int:
        """The number of the peripheral."""
        return self.words[0] & 0x7F

    def store(self, offset: int, value: int) -> None:
        """Synchronisation is refused."""
        if value & ~0x7F:
            self.bus.refuse("it asks DMAMUX1 for more than a request, which is not modelled")
        super().store(offset, value)
        self.changed(self.bus.now(False, self.base + offset))

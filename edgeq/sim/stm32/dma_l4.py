"""DMA1's first channel and its request multiplexer on STM32L4+ (RM0432, 11.6 and 12.6)."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate

ISR, IFCR, CCR, CNDTR, CPAR, CMAR = 0x00, 0x04, 0x08, 0x0C, 0x10, 0x14
DONE, HALF, FAILED = 1 << 1, 1 << 2, 1 << 3  # flags, and at the same places what CCR enables
ENABLED, CIRCULAR = 1, 1 << 5
HALFWORDS_UP = 1 << 7 | 1 << 8 | 1 << 10  # memory counts up, 16 bits on either side
MODELLED = ENABLED | DONE | HALF | FAILED | CIRCULAR | HALFWORDS_UP | 3 << 12
SIZE = 0x18
LINE = 11  # DMA1_CH1_IRQn
MUX_SIZE = 4


class Channel(Block):
    """From a peripheral into memory, halfwords. `advance(now)` brings it up to date before a look,
    `changed(now)` is called after each write.
    """

    def __init__(self, bus: Bus, base: int, gate: Gate) -> None:
        super().__init__(bus, "DMA1", base, dict.fromkeys(range(0, SIZE, 4), 0), gate)
        self.advance: Callable[[int], None] = lambda _now: None
        self.changed: Callable[[int], None] = lambda _now: None
        self._total = 0

    @property
    def enabled(self) -> bool:
        """It takes what is asked of it."""
        return bool(self.words[CCR] & ENABLED)

    @property
    def source(self) -> int:
        """The register that it reads."""
        return self.words[CPAR]

    def room(self) -> int:
        """Transfers until the next half, or the end."""
        second = self._total - self._total // 2
        left = self.words[CNDTR]
        return left - second if left > second else left

    def take(self, values: np.ndarray[Any, Any]) -> None:
        """Put them, room() at most, where the memory's pointer is."""
        at = self.words[CMAR] + 2 * (self._total - self.words[CNDTR])
        self.bus.write(at, values.astype("<u2").tobytes())
        self.words[CNDTR] -= len(values)
        if self.words[CNDTR] == self._total - self._total // 2:
            self.words[ISR] |= HALF | 1
        if self.words[CNDTR] == 0:
            self.words[ISR] |= DONE | 1
            self.words[CNDTR] = self._total if self.words[CCR] & CIRCULAR else 0
        self._ask()

    def load(self, offset: int) -> int:
        """As it is now, not as it was at its last interrupt."""
        self.advance(self.bus.now(True, self.base + offset))
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """A channel that runs keeps its count and addresses."""
        now = self.bus.now(False, self.base + offset)
        self.advance(now)
        if offset == IFCR:
            cleared = DONE | HALF | FAILED if value & 1 else value
            self.words[ISR] &= ~cleared
            self.words[ISR] &= ~(0 if self.words[ISR] & ~1 else 1)
        elif offset == CCR:
            self._configure(value)
        elif offset != ISR and not self.enabled:
            super().store(offset, value & 0xFFFF if offset == CNDTR else value)
        self._ask()
        self.changed(now)

    def _configure(self, value: int) -> None:
        if value & ENABLED and (value & ~MODELLED or value & HALFWORDS_UP != HALFWORDS_UP):
            self.bus.refuse(
                "it asks DMA1 for another transfer than halfwords from a register into memory, "
                "which is not modelled"
            )
        if value & ENABLED and not self.enabled:
            self._total = self.words[CNDTR]
        self.words[CCR] = value

    def _ask(self) -> None:
        asked = self.words[ISR] & self.words[CCR] & (DONE | HALF | FAILED)
        self.bus.interrupt(LINE, bool(asked))


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

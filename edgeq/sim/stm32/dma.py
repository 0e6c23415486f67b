"""A DMA channel of STM32 that fills memory with halfwords, its half and full interrupts."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate


class HalfwordsIn(Block):
    """From a peripheral into memory. `advance(now)` brings it up to date before a look,
    `changed(now)` is called after each write.

    A subclass names its registers (offsets) and bits. ASKS: of CONTROL, the flag that each enables.
    """

    NAME: ClassVar[str]
    OFFSETS: ClassVar[tuple[int, ...]]
    FLAGS: ClassVar[int]
    CLEAR: ClassVar[int]
    CONTROL: ClassVar[int]
    COUNT: ClassVar[int]
    SOURCE: ClassVar[int]
    MEMORY: ClassVar[int]
    HALF: ClassVar[int]  # of FLAGS
    DONE: ClassVar[int]
    ENABLED: ClassVar[int]  # of CONTROL
    CIRCULAR: ClassVar[int]
    HALFWORDS: ClassVar[int]
    MODELLED: ClassVar[int]
    ASKS: ClassVar[Mapping[int, int]]
    LINE: ClassVar[int]

    def __init__(self, bus: Bus, base: int, gate: Gate) -> None:
        super().__init__(bus, self.NAME, base, dict.fromkeys(self.OFFSETS, 0), gate)
        self.advance: Callable[[int], None] = lambda _now: None
        self.changed: Callable[[int], None] = lambda _now: None
        self._total = 0

    @property
    def enabled(self) -> bool:
        """It takes what is asked of it."""
        return bool(self.words[self.CONTROL] & self.ENABLED)

    @property
    def source(self) -> int:
        """The register that it reads."""
        return self.words[self.SOURCE]

    def room(self) -> int:
        """Transfers until the next half, or the end."""
        second = self._total - self._total // 2
        left = self.words[self.COUNT]
        return left - second if left > second else left

    def take(self, values: np.ndarray[Any, Any]) -> None:
        """Put them, room() at most, where the memory's pointer is."""
        at = self.words[self.MEMORY] + 2 * (self._total - self.words[self.COUNT])
        self.bus.write(at, values.astype("<u2").tobytes())
        self.words[self.COUNT] -= len(values)
        if self.words[self.COUNT] == self._total - self._total // 2:
            self.words[self.FLAGS] |= self.HALF
        if self.words[self.COUNT] == 0:
            self.words[self.FLAGS] |= self.DONE
            circular = self.words[self.CONTROL] & self.CIRCULAR
            self.words[self.COUNT] = self._total if circular else 0
        self._ask()

    def load(self, offset: int) -> int:
        """As it is now, not as it was at its last interrupt."""
        self.advance(self.bus.now(True, self.base + offset))
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """A channel that runs keeps its count and addresses."""
        now = self.bus.now(False, self.base + offset)
        self.advance(now)
        if offset == self.CLEAR:
            self.words[self.FLAGS] &= ~value
        elif offset == self.CONTROL:
            self._configure(value)
        elif offset != self.FLAGS and not self.enabled:
            super().store(offset, value & 0xFFFF if offset == self.COUNT else value)
        self._ask()
        self.changed(now)

    def _configure(self, value: int) -> None:
        halfwords = value & self.HALFWORDS == self.HALFWORDS
        if value & self.ENABLED and (value & ~self.MODELLED or not halfwords):
            self.bus.refuse(
                f"it asks {self.NAME} for another transfer than halfwords from a register into "
                "memory, which is not modelled"
            )
        if value & self.ENABLED and not self.enabled:
            self._total = self.words[self.COUNT]
        self.words[self.CONTROL] = value

    def _ask(self) -> None:
        control, flags = self.words[self.CONTROL], self.words[self.FLAGS]
        asked = any(control & bit and flags & flag for bit, flag in self.ASKS.items())
        self.bus.interrupt(self.LINE, asked)

"""CLOCK of nRF52840 (Product Specification v1.7, 5.4): the crystal starts when it is asked to."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block

TASKS_HFCLKSTART, TASKS_HFCLKSTOP = 0x000, 0x004
EVENTS_HFCLKSTARTED, HFCLKSTAT = 0x100, 0x40C
CRYSTAL, RUNNING = 1, 1 << 16


class Clock(Block):
    """The core has 64 MHz from either source; HFCLKSTAT tells which."""

    def __init__(self, bus: Bus, base: int) -> None:
        offsets = (TASKS_HFCLKSTART, TASKS_HFCLKSTOP, EVENTS_HFCLKSTARTED, HFCLKSTAT)
        super().__init__(bus, "CLOCK", base, dict.fromkeys(offsets, 0))
        self.words[HFCLKSTAT] = RUNNING

    def store(self, offset: int, value: int) -> None:
        """A task acts on 1, an event is cleared by 0."""
        if offset == TASKS_HFCLKSTART and value & 1:
            self.words[EVENTS_HFCLKSTARTED] = self.flag("HFCLKSTARTED", 1)
            self.words[HFCLKSTAT] |= self.flag("HFCLKSTARTED", CRYSTAL)
        elif offset == TASKS_HFCLKSTOP and value & 1:
            self.words[HFCLKSTAT] &= ~CRYSTAL
        elif offset == EVENTS_HFCLKSTARTED:
            self.words[offset] = value & 1

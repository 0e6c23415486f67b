"""The 64-bit timer of RP2040 and the tick that drives it (datasheet, 4.6 and 4.7.2)."""

from fractions import Fraction

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate
from edgeq.sim.rp2040.clocks import Clocks

TICK = 0x2C
TICK_ENABLE, TICK_RUNNING, TICK_CYCLES = 1 << 9, 1 << 10, 0x1FF
TIMEHR, TIMELR, TIMERAWH, TIMERAWL = 0x08, 0x0C, 0x24, 0x28
WORD = 0xFFFFFFFF


class Watchdog(Block):
    """Of the watchdog only its tick generator: a tick every so many reference clocks."""

    def __init__(self, bus: Bus, base: int, clocks: Clocks) -> None:
        super().__init__(bus, "WATCHDOG", base, {TICK: TICK_ENABLE})
        self._clocks = clocks
        self._ticks, self._since = Fraction(0), 0  # ticks so far, and up to which core cycle

    def ticks(self, now: int) -> int:
        """Whole ticks since reset at core cycle `now`; clocks must not have changed in between."""
        self._settle(now)
        return int(self._ticks)

    def load(self, offset: int) -> int:
        """It runs when it is enabled and divides."""
        word = super().load(offset)
        return word | TICK_RUNNING if self._rate() else word & ~TICK_RUNNING

    def store(self, offset: int, value: int) -> None:
        """What it counted so far stays."""
        self._settle(self.bus.now(False, self.base + offset))
        super().store(offset, value & (TICK_ENABLE | TICK_CYCLES))

    def _settle(self, now: int) -> None:
        self._ticks += self._rate() * (now - self._since)
        self._since = now

    def _rate(self) -> Fraction:
        """Ticks a core cycle."""
        word = self.words[TICK]
        if not word & TICK_ENABLE or not word & TICK_CYCLES:
            return Fraction(0)
        return Fraction(self._clocks.ref_hz, self._clocks.sys_hz * (word & TICK_CYCLES))


class Timer(Block):
    """TIMERAWL and TIMERAWH; the latched pair and the alarms are not modelled."""

    def __init__(self, bus: Bus, base: int, gate: Gate, watchdog: Watchdog) -> None:
        super().__init__(bus, "TIMER", base, {TIMERAWH: 0, TIMERAWL: 0}, gate)
        self._watchdog = watchdog

    def load(self, offset: int) -> int:
        """The count, exact to the cycle of the access."""
        ticks = self._watchdog.ticks(self.bus.now(True, self.base + offset))
        return ticks >> 32 & WORD if offset == TIMERAWH else ticks & WORD

"""PLL_SYS of RP2040 (datasheet, 2.18)."""

from collections.abc import Callable

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate

CS, PWR, FBDIV_INT, PRIM = 0x0, 0x4, 0x8, 0xC
LOCK, BYPASS = 1 << 31, 1 << 8
PD, POSTDIVPD, VCOPD = 1 << 0, 1 << 3, 1 << 5
RESETS = {CS: 1, PWR: 0x2D, FBDIV_INT: 0, PRIM: 0x77000}
VCO_MIN_HZ, VCO_MAX_HZ = 750_000_000, 1_600_000_000


class Pll(Block):
    """Locks when powered, fed and within the VCO's range (2.18.2), at once."""

    def __init__(self, bus: Bus, base: int, gate: Gate, reference_hz: Callable[[], int]) -> None:
        super().__init__(bus, "PLL_SYS", base, RESETS, gate)
        self._reference_hz = reference_hz

    @property
    def hz(self) -> int:
        """What leaves the post dividers, 0 while it has no lock or they are off."""
        if not self._locked() or self.words[PWR] & POSTDIVPD:
            return 0
        word = self.words[PRIM]
        return self._vco_hz() // max(1, word >> 16 & 7) // max(1, word >> 12 & 7)

    def load(self, offset: int) -> int:
        """CS carries the lock."""
        word = super().load(offset)
        return word & ~LOCK | self._locked() if offset == CS else word

    def store(self, offset: int, value: int) -> None:
        """The reference must not pass by."""
        if offset == CS and value & BYPASS:
            self.bus.refuse("it bypasses the PLL, which is not modelled")
        super().store(offset, value)

    def _vco_hz(self) -> int:
        return self._reference_hz() // max(1, self.words[CS] & 63) * self.words[FBDIV_INT]

    def _locked(self) -> int:
        powered = not self.words[PWR] & (PD | VCOPD)
        in_range = VCO_MIN_HZ <= self._vco_hz() <= VCO_MAX_HZ
        return self.flag("PLL_LOCK", LOCK) if powered and in_range else 0

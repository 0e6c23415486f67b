"""XOSC of RP2040, the crystal oscillator (datasheet, 2.16)."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block

CTRL, STATUS, DORMANT, STARTUP = 0x00, 0x04, 0x08, 0x0C
RANGE_1_15_MHZ = 0xAA0
ENABLE = 0xFAB
ENABLED, STABLE = 1 << 12, 1 << 31


class Xosc(Block):
    """Stable as soon as it is enabled, unless a test holds XOSC_STABLE back."""

    def __init__(self, bus: Bus, base: int) -> None:
        super().__init__(bus, "XOSC", base, dict.fromkeys((CTRL, STATUS, DORMANT, STARTUP), 0))

    @property
    def hz(self) -> int:
        """The crystal's frequency while it is stable, else 0."""
        return self.bus.config.port_config["CRYSTAL_HZ"] if self.load(STATUS) & STABLE else 0

    def load(self, offset: int) -> int:
        """STATUS is what CTRL leads to: both of its magic numbers must be right."""
        if offset != STATUS:
            return super().load(offset)
        if self.words[CTRL] != ENABLE << 12 | RANGE_1_15_MHZ:
            return 0
        return ENABLED | self.flag("XOSC_STABLE", STABLE)

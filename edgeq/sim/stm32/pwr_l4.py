"""The power controller of STM32L4+: range 1 boost and the supply of port G (RM0432, 5.4)."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate

CR1, CR2, CR5 = 0x00, 0x04, 0x80
IOSV = 1 << 9
R1MODE = 1 << 8
SIZE = 0x400


class Pwr(Block):
    """CR5.R1MODE is low-active: 0 is boost."""

    def __init__(self, bus: Bus, base: int, gate: Gate) -> None:
        super().__init__(bus, "PWR", base, {CR1: 0x200, CR2: 0, CR5: R1MODE}, gate)

    @property
    def boost(self) -> bool:
        """The regulator may feed more than 80 MHz."""
        return not self.words[CR5] & R1MODE

    @property
    def port_g_supplied(self) -> bool:
        """VddIO2 is declared valid: without it, PG2 to PG15 are cut off."""
        return bool(self.words[CR2] & IOSV)

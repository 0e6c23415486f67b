"""The power controller of STM32F4: regulator scale and, on the F446, over-drive (RM0390, 5.4)."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate

CR, CSR = 0x00, 0x04
ODEN, ODSWEN = 1 << 16, 1 << 17
VOSRDY, ODRDY, ODSWRDY = 1 << 14, 1 << 16, 1 << 17
SIZE = 0x400


class Pwr(Block):
    """Each ready flag follows what was asked for; over-drive's switch wants over-drive first."""

    def __init__(self, bus: Bus, base: int, gate: Gate) -> None:
        super().__init__(bus, "PWR", base, {CR: 0xC000, CSR: 0}, gate)

    @property
    def overdrive(self) -> bool:
        """The regulator is in over-drive."""
        return bool(self.load(CSR) & ODSWRDY)

    def load(self, offset: int) -> int:
        """CSR is what CR leads to."""
        if offset != CSR:
            return super().load(offset)
        asked = self.words[CR]
        ready = self.flag("ODRDY", ODRDY) if asked & ODEN else 0
        switched = self.flag("ODSWRDY", ODSWRDY) if ready and asked & ODSWEN else 0
        return VOSRDY | ready | switched

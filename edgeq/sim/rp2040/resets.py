"""RESETS of RP2040 (datasheet, 2.14): most peripherals do not answer until they are released."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate

RESET, WDSEL, RESET_DONE = 0x0, 0x4, 0x8
ALL = 0x01FFFFFF
IO_QSPI, PADS_QSPI = 1 << 6, 1 << 9
LEFT_BY_ROM = ALL & ~(IO_QSPI | PADS_QSPI)  # what the boot ROM needs to read the flash


class Resets(Block):
    """A released block is ready at once, unless a test holds RESET_DONE back."""

    def __init__(self, bus: Bus, base: int) -> None:
        super().__init__(bus, "RESETS", base, {RESET: LEFT_BY_ROM, WDSEL: 0, RESET_DONE: 0})

    def load(self, offset: int) -> int:
        """RESET_DONE is what RESET has released."""
        if offset == RESET_DONE:
            return self.flag("RESET_DONE", ALL & ~self.words[RESET])
        return super().load(offset)

    def gate(self, bit: int) -> Gate:
        """The gate of the peripheral with that bit."""

        def why() -> str:
            return f"is held in reset (bit {bit} of RESETS)" if self.words[RESET] >> bit & 1 else ""

        return why

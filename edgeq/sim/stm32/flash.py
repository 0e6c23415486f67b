"""The flash interface of STM32F4 and L4+: wait states and caches (RM0390, 3.8; RM0432, 3.7)."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block

ACR = 0x00
LATENCY = 0xF
SIZE = 0x400


class Flash(Block):
    """ACR alone: what would write the flash is not modelled."""

    def __init__(self, bus: Bus, base: int, reset: int = 0) -> None:
        super().__init__(bus, "the flash interface", base, {ACR: reset})

    @property
    def wait_states(self) -> int:
        """Those the firmware has set."""
        return self.words[ACR] & LATENCY

    def store(self, offset: int, value: int) -> None:
        """The wait states hold at once, unless a test holds them back."""
        held = value & ~LATENCY | self.words[ACR] & LATENCY
        super().store(offset, value if self.flag("LATENCY", 1) else held)

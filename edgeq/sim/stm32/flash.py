"""The flash interface of STM32F4 and L4+: wait states and caches (RM0390, 3.8; RM0432, 3.7)."""

from edgeq.sim.bus import Bus
from edgeq.sim.flash_setup import FlashSetup
from edgeq.sim.registers import Block

ACR = 0x00
LATENCY, PRFTEN, ICEN, DCEN = 0xF, 1 << 8, 1 << 9, 1 << 10
SIZE = 0x400


class Flash(Block):
    """ACR alone: what would write the flash is not modelled. `fetch_bytes`: of one access."""

    def __init__(self, bus: Bus, base: int, fetch_bytes: int, reset: int = 0) -> None:
        super().__init__(bus, "the flash interface", base, {ACR: reset})
        self._fetch_bytes = fetch_bytes
        bus.flash_at_reset = self._setup()

    @property
    def wait_states(self) -> int:
        """Those the firmware has set."""
        return self.words[ACR] & LATENCY

    def store(self, offset: int, value: int) -> None:
        """The wait states hold at once, unless a test holds them back."""
        held = value & ~LATENCY | self.words[ACR] & LATENCY
        super().store(offset, value if self.flag("LATENCY", 1) else held)
        self.bus.set_up_flash(self._setup())

    def _setup(self) -> FlashSetup:
        word = self.words[ACR]
        return FlashSetup(
            wait_states=self.wait_states,
            instruction_cache=bool(word & ICEN),
            data_cache=bool(word & DCEN),
            prefetch=bool(word & PRFTEN),
            fetch_bytes=self._fetch_bytes,
        )

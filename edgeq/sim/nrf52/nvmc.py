"""NVMC of nRF52840 (Product Specification v1.7, 4.3.4): the switch of the instruction cache."""

from edgeq.sim.bus import Bus
from edgeq.sim.flash_setup import FlashSetup
from edgeq.sim.registers import Block

READY, ICACHECNF = 0x400, 0x540
CACHEEN = 1
FETCH_BYTES = 16  # taken as the line of its cache


class Nvmc(Block):
    """Writing the flash is not modelled."""

    def __init__(self, bus: Bus, base: int) -> None:
        super().__init__(bus, "NVMC", base, {READY: 1, ICACHECNF: 0})
        bus.flash_at_reset = self._setup()

    def store(self, offset: int, value: int) -> None:
        """The cache goes on or off; READY is read-only."""
        if offset == ICACHECNF:
            super().store(offset, value)
            self.bus.set_up_flash(self._setup())

    def _setup(self) -> FlashSetup:
        """Of the wait states the firmware decides nothing: the core's clock is fixed."""
        return FlashSetup(
            wait_states=self.bus.config.flash_wait_states,
            instruction_cache=bool(self.words[ICACHECNF] & CACHEEN),
            data_cache=False,
            prefetch=False,
            fetch_bytes=FETCH_BYTES,
        )

"""NVMC of nRF52840 (Product Specification v1.7, 4.3.4): the switch of the instruction cache."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block

READY, ICACHECNF = 0x400, 0x540


class Nvmc(Block):
    """Writing the flash is not modelled."""

    def __init__(self, bus: Bus, base: int) -> None:
        super().__init__(bus, "NVMC", base, {READY: 1, ICACHECNF: 0})

"""The registers of a virtual board: those of every Cortex-M, and those of its family."""

from collections.abc import Callable

from edgeq.sim.bus import Bus
from edgeq.sim.cores import CORES
from edgeq.sim.dwt import DWT_BASE, Dwt
from edgeq.sim.exceptions import Exceptions
from edgeq.sim.families import attach_family
from edgeq.sim.system_control import SCS_BASE, SystemControl


class Peripherals:
    """Puts the registers of `bus.config` on the bus.

    `changed()` is called when an exception may have come nearer.
    """

    def __init__(self, bus: Bus, exceptions: Exceptions, changed: Callable[[], None]) -> None:
        model = CORES[bus.config.core]
        self.dwt = Dwt(model.cycle_counter, bus.now, bus.refuse)
        self.core = SystemControl(
            model.cpuid,
            self.dwt,
            exceptions,
            bus.now,
            bus.refuse,
            lambda: bus.finish("exit"),
            changed,
        )
        bus.map(DWT_BASE, self.dwt)
        bus.map(SCS_BASE, self.core)
        self.uart = attach_family(bus)

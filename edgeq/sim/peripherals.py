"""The registers of a virtual board: those of every Cortex-M, and those of its family."""

from edgeq.sim.bus import Bus
from edgeq.sim.cores import CORES
from edgeq.sim.dwt import DWT_BASE, SCS_BASE, CorePeripherals
from edgeq.sim.emulator import Emulator
from edgeq.sim.families import attach_family


class Peripherals:
    """Maps the registers of `bus.config` into `emulator`."""

    def __init__(self, bus: Bus, emulator: Emulator) -> None:
        model = CORES[bus.config.core]
        self.core = CorePeripherals(model, bus.now, bus.refuse, lambda: bus.finish("exit"))
        emulator.map_registers(DWT_BASE, self.core.read_dwt, self.core.write_dwt)
        emulator.map_registers(SCS_BASE, self.core.read_scs, self.core.write_scs)
        self.uart = attach_family(bus)

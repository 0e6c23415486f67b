"""The virtual board for a configuration, whichever its instruction set."""

from collections.abc import Callable

from edgeq.sim.config import MachineConfig
from edgeq.sim.cores import RISCV_CORES
from edgeq.sim.machine import Machine
from edgeq.sim.port import SerialPort
from edgeq.sim.riscv import RiscvMachine

AnyMachine = Machine | RiscvMachine


def machine_of(
    config: MachineConfig,
    port: SerialPort | None = None,
    console: Callable[[bytes], None] | None = None,
) -> AnyMachine:
    """A virtual board; `console` takes what an Arm firmware prints by semihosting."""
    if config.core in RISCV_CORES:
        return RiscvMachine(config, port)
    return Machine(config, port, console)

"""The virtual board: runs a bare-metal Cortex-M4 ELF with a serial port and a modelled clock.

It needs none of the compiler: `Machine(board).load("firmware.elf").run()`.
"""

from edgeq.sim.config import VIRTUAL_M4, MachineConfig
from edgeq.sim.elf import Image, load_elf
from edgeq.sim.faults import FaultReport, GuestFault
from edgeq.sim.machine import CallResult, Machine, RunResult
from edgeq.sim.port import BufferPort, PtyPort, SerialPort, StdioPort
from edgeq.sim.profile import Profile

__all__ = [
    "VIRTUAL_M4",
    "BufferPort",
    "CallResult",
    "FaultReport",
    "GuestFault",
    "Image",
    "Machine",
    "MachineConfig",
    "Profile",
    "PtyPort",
    "RunResult",
    "SerialPort",
    "StdioPort",
    "load_elf",
]

"""The virtual board: runs a bare-metal Cortex-M ELF with a serial port and a modelled clock.

It needs none of the compiler. What it models and what it was compared with: docs/simulator.md.

>>> from edgeq.board import load_board
>>> machine = Machine(load_board("nucleo_l4r5zi"))
>>> machine.core.name, machine.config.first_load_extra, machine.clock.table["ld"] / 2
('cortex-m4', 1, 2.0)
>>> machine.call("main")
Traceback (most recent call last):
    ...
edgeq.errors.BadInput: no firmware is loaded; call load(elf) first
"""

from edgeq.sim.config import VIRTUAL_M4, MachineConfig
from edgeq.sim.elf import Image, load_elf
from edgeq.sim.faults import FaultReport, GuestFault
from edgeq.sim.machine import Machine
from edgeq.sim.port import BufferPort, PtyPort, SerialPort, StdioPort
from edgeq.sim.profile import Profile
from edgeq.sim.results import CallResult, RunResult

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

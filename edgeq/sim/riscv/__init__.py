"""A virtual RISC-V board: unicorn's RV32, the same serial protocol, a clock of instructions."""

from edgeq.sim.riscv.machine import RiscvMachine

__all__ = ["RiscvMachine"]

"""The virtual RISC-V board: unicorn runs the firmware's ELF on the memory map of QEMU's virt."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from edgeq.errors import BadInput
from edgeq.sim.bus import Bus
from edgeq.sim.clock import NO_LIMIT
from edgeq.sim.config import MachineConfig
from edgeq.sim.cores import RISCV_CORES
from edgeq.sim.elf import Image, load_elf
from edgeq.sim.emulator import RISCV_REGISTERS, EmulatorError
from edgeq.sim.families import attach_family
from edgeq.sim.faults import FaultReport, GuestFault
from edgeq.sim.guest import RETURN_PAGE, Guest
from edgeq.sim.layout import stack_limit
from edgeq.sim.port import SerialPort
from edgeq.sim.profile import Profile
from edgeq.sim.results import CallResult, RunResult
from edgeq.sim.riscv.clock import InstructionClock

if TYPE_CHECKING:
    from edgeq.board import Board

ARGUMENTS = 8  # a0 to a7, by the calling convention
CAUSES = {2: "illegal instruction", 3: "breakpoint", 4: "misaligned load", 5: "load fault",
          6: "misaligned store", 7: "store fault", 8: "ecall", 11: "ecall"}  # fmt: skip


class RiscvMachine(Guest):
    """As `Machine`: `RiscvMachine(board).load(elf).call("function", (1, 2))` or `.run()`.

    `port` carries the UART's bytes. It has no interrupts, no semihosting and no flash model.
    """

    flash_model = "none: flash answers at once"

    def __init__(self, board: "Board | MachineConfig", port: SerialPort | None = None) -> None:
        super().__init__(board, port, self._on_trap)
        self.core = RISCV_CORES[self.config.core]
        self.clock = InstructionClock(self._emulator.read)
        self.clock.on_error = self._on_model_error
        self.clock.on_limit = partial(self._end_with, "it spent its instructions")
        self._map(self.clock.on_block)
        self._bus = Bus(
            self.config, self._emulator, self.clock, self.port, self._end_with, self._finish
        )
        self.uart = attach_family(self._bus)

    def load(self, elf: str | Path | Image) -> Self:
        """Load a firmware ELF, .data also where it runs. BadInput for one of another machine."""
        image = elf if isinstance(elf, Image) else load_elf(elf, "EM_RISCV")
        for segment in image.segments:
            for address in {segment.load_address, segment.run_address}:
                self.write(address, segment.data)
        self.image = image
        self._emulator.forget_code()
        self.clock.forget()
        self._pc = -1
        return self

    def call(
        self,
        function: str | int,
        args: Sequence[int] = (),
        *,
        max_cycles: int | None = 2_000_000_000,
    ) -> CallResult:
        """Run one function of up to eight arguments to its return; a0 is the result's `r0`.

        GuestFault if it faults or spends `max_cycles` instructions.
        """
        if len(args) > ARGUMENTS:
            raise BadInput(f"a call has {len(args)} arguments; registers take {ARGUMENTS}")
        address = function if isinstance(function, int) else self.symbol(function)
        for number, value in enumerate(args):
            self._emulator.set_register(f"a{number}", value)
        self._emulator.set_register("sp", self.config.ram_origin + self.config.ram_bytes)
        self._emulator.set_register("lr", RETURN_PAGE)
        self.clock.enter()
        before, self._pc = self.clock.instructions, address
        self._go(RETURN_PAGE, None, max_cycles)
        self._pc = -1  # run() begins at reset again
        spent = self.clock.instructions - before
        return CallResult(self._emulator.register("a0"), spent, spent)

    def run(
        self,
        until: str | int | None = None,
        *,
        deadline_s: float | None = None,
        max_cycles: int | None = None,
    ) -> RunResult:
        """Run from the start of flash, or on from where the last run ended.

        Ends at `until`, when the firmware waits for input that will not come ("idle"), or at
        stop(). GuestFault on a trap, or when `deadline_s` or `max_cycles` is spent.
        """
        self._loaded()
        if self._pc < 0:
            self._pc = self.config.flash_origin
            self.clock.enter()
        address = self.symbol(until) if isinstance(until, str) else until
        self._go(RETURN_PAGE if address is None else address, deadline_s, max_cycles)
        return RunResult(self._reason, self.clock.cycles, self.clock.instructions)

    def _go(self, until: int, deadline_s: float | None, max_cycles: int | None) -> None:
        ends = None if deadline_s is None else time.monotonic() + deadline_s
        self.clock.limit = NO_LIMIT if max_cycles is None else self.clock.half + 2 * max_cycles
        self._reason, self._fault, self._model_error = "", None, None
        if self._stopped:
            self._reason = "stopped"
        left = 0 if ends is None else max(1, int((ends - time.monotonic()) * 1e6))
        try:
            if not self._reason:
                self._pc = self._emulator.run(self._pc, until, timeout_us=left)
        except EmulatorError as fault:
            self._raise(self._fault or self._why(str(fault)))
        self._raise_pending()
        if self._pc == until:
            self._reason = self._reason or "until"
            self.clock.finish()
        elif not self._reason:
            self._raise("its deadline passed")
        self.uart.flush()

    def _why(self, fault: str) -> str:
        top = self.config.ram_origin + self.config.ram_bytes
        below = self._emulator.register("sp") < stack_limit(self._loaded(), self.config, top)
        return f"stack overflow: {fault}" if below else fault

    def _on_trap(self, cause: int) -> None:
        self._end_with(f"trap {cause} ({CAUSES.get(cause, 'see mcause')})")

    def _raise(self, reason: str) -> None:
        registers = {name: self._emulator.register(name) for name in RISCV_REGISTERS}
        pc = registers.pop("pc")
        self.uart.flush()
        self._pc = -1
        function = self._loaded().function_at(pc)
        raise GuestFault(FaultReport(reason, pc, function, registers, self.uart.tail))

    def argument_readers(self) -> list[Callable[[], int]]:
        """Each reads an argument register, also while the guest runs."""
        names = (f"a{number}" for number in range(ARGUMENTS))
        return [self._emulator.reader(RISCV_REGISTERS[name]) for name in names]

    def profile(self) -> Profile:
        """Instructions by function since the ELF was loaded."""
        return self.clock.profile(self._loaded().function_at)

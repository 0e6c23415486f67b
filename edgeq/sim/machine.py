"""The virtual board: unicorn runs the firmware's ELF, the modelled clock says how long it took."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from unicorn import UcError  # type: ignore[attr-defined]

from edgeq.errors import BadInput
from edgeq.sim.bus import Bus
from edgeq.sim.clock import NO_LIMIT, Clock
from edgeq.sim.config import VIRTUAL_M4, MachineConfig
from edgeq.sim.console import Console
from edgeq.sim.cores import arm_core
from edgeq.sim.decode import Block
from edgeq.sim.elf import Image, load_elf
from edgeq.sim.emulator import REGISTERS, EmulatorError
from edgeq.sim.encodings import DSP
from edgeq.sim.events import Events
from edgeq.sim.exceptions import THUMB, ExceptionFault, Exceptions
from edgeq.sim.faults import FaultReport, GuestFault
from edgeq.sim.flash_reads import FlashReads, data_pages
from edgeq.sim.flash_setup import FlashTiming
from edgeq.sim.guest import RETURN_PAGE, Guest
from edgeq.sim.layout import stack_limit, vector_table
from edgeq.sim.peripherals import Peripherals
from edgeq.sim.port import SerialPort
from edgeq.sim.profile import Profile
from edgeq.sim.results import CallResult, RunResult
from edgeq.sim.sampling import Hearable
from edgeq.sim.semihosting import Semihosting
from edgeq.sim.systick import SysTick

if TYPE_CHECKING:
    from edgeq.board import Board


class Machine(Guest):
    """A virtual board. `port` carries the UART's bytes; memory buffers by default.

    `console` takes what the firmware prints by semihosting; by default it goes to the port.
    Use it as `Machine(board).load("firmware.elf").call("function", (1, 2))` or `.run()`.
    """

    def __init__(
        self,
        board: "Board | MachineConfig" = VIRTUAL_M4,
        port: SerialPort | None = None,
        console: Callable[[bytes], None] | None = None,
    ) -> None:
        super().__init__(board, port, self._on_interrupt)
        self.core = arm_core(self.config.core)
        self._flash = FlashTiming(self.config)
        self.clock = Clock(
            self.core, self.config.first_load_extra, self._emulator.read, self._flash.board_model
        )
        self._exceptions = Exceptions(self._emulator, SysTick())
        self._console = Console(console or self.port.write)
        self._events = Events(
            self._emulator, self.clock, self._exceptions, self._semihosting(), self._end_with,
            self._exit,
        )  # fmt: skip
        self.clock.on_limit = self._events.on_limit
        self.clock.on_new_block = self._check_block
        self.clock.on_stack = self._check_stack
        self.clock.on_error = self._on_model_error
        self._exit_code = 0
        self._called = False  # call() needs no start-up code, so none has enabled the FPU
        self._stack_limit = 0
        self._map(self.clock.on_block)
        if self.config.fpu:
            self._emulator.enable_fpu()
        self._bus = Bus(
            self.config, self._emulator, self.clock, self.port, self._end_with, self._finish
        )
        self._bus.connect(self._exceptions.nvic, self._exceptions.timeline, self._events.set_limit)
        self._peripherals = Peripherals(self._bus, self._exceptions, self._events.set_limit)
        self._flash_reads: FlashReads | None = None
        if self.clock.flash is not None:
            self._flash_reads = FlashReads(self._emulator, self.clock, self._end_with)
            self._flash.attach(self.clock, self._flash_reads)
            self._bus.set_up_flash = self._flash.set_up

    def _semihosting(self) -> Semihosting:
        return Semihosting(
            self._emulator.read,
            self._emulator.write,
            self._console.write,
            lambda: self.clock.cycles,
            self.config.clock_hz,
        )

    def load(self, elf: str | Path | Image) -> Self:
        """Load a firmware ELF (flash at its load address, .data also where it runs). BadInput."""
        image = elf if isinstance(elf, Image) else load_elf(elf)
        self._flash.set_up(None)
        if self._flash_reads is not None:
            self._flash_reads.release()
        for segment in image.segments:
            for address in {segment.load_address, segment.run_address}:
                self._check_fits(image, address, len(segment.data))
                self._emulator.write(address, segment.data)
        self.image = image
        self._bus.vectors = vector_table(image, self.config)
        if self._flash_reads is not None:
            config = self.config
            self._flash_reads.watch(data_pages(image, config.flash_origin, config.flash_bytes))
        self._emulator.forget_code()
        self.clock.forget()
        self._pc = -1
        return self

    def _check_fits(self, image: Image, address: int, size: int) -> None:
        regions = self.config.regions
        if any(m.origin <= address and address + size <= m.origin + m.bytes for m in regions):
            return
        has = ", ".join(f"{part.name} 0x{part.origin:08x}+0x{part.bytes:x}" for part in regions)
        raise BadInput(
            f"{image.path} has {size} bytes at 0x{address:08x}; {self.config.name} has {has}; "
            "link it for this board"
        )

    def call(
        self,
        function: str | int,
        args: Sequence[int] = (),
        *,
        max_cycles: int | None = 2_000_000_000,
    ) -> CallResult:
        """Run one function to its return with up to 4 register and further stack arguments.

        The stack begins at the top of RAM. GuestFault if it faults or spends `max_cycles`.
        """
        address = function if isinstance(function, int) else self.symbol(function)
        top = (self.config.ram_origin + self.config.ram_bytes - 4 * max(0, len(args) - 4)) & ~7
        for number, value in enumerate(args):
            if number < 4:
                self._emulator.set_register(f"r{number}", value)
            else:
                self.write(top + 4 * (number - 4), (value & 0xFFFFFFFF).to_bytes(4, "little"))
        self._to_thread_mode(top)
        self._emulator.set_register("lr", RETURN_PAGE | 1)
        self.clock.enter()
        before = (self.clock.cycles, self.clock.instructions)
        self._pc, self._called = address & ~1, True
        self._go(RETURN_PAGE, None, max_cycles)
        self._pc, self._called = -1, False  # run() begins at reset again
        cycles = self.clock.cycles - before[0]
        r0 = self._emulator.register("r0")
        return CallResult(r0, cycles, self.clock.instructions - before[1])

    def run(
        self,
        until: str | int | None = None,
        *,
        deadline_s: float | None = None,
        max_cycles: int | None = None,
    ) -> RunResult:
        """Run from reset, or on from where the last run ended.

        Ends at the symbol or address `until`, when the firmware waits for input that will not
        come ("idle"), at stop(), or at a semihosting exit. GuestFault on a fault, an endless loop,
        or when `deadline_s` (wall clock) or `max_cycles` is spent.
        """
        self._loaded()
        if self._pc < 0:
            self.reset()
        address = self.symbol(until) if isinstance(until, str) else until
        self._go(RETURN_PAGE if address is None else address & ~1, deadline_s, max_cycles)
        return RunResult(self._reason, self.clock.cycles, self.clock.instructions, self._exit_code)

    def reset(self) -> None:
        """Stack pointer and program counter from the vector table, or from the boot ROM's work."""
        self._flash.set_up(self._bus.flash_at_reset)
        stack, entry = self._bus.boot()
        self._to_thread_mode(stack)
        self._pc = entry & ~1
        self.clock.enter()

    def _to_thread_mode(self, stack: int) -> None:
        """No exception active, the main stack in use and empty."""
        self._exceptions.reset(self._bus.vectors)
        for name in ("control", "primask", "basepri", "faultmask"):
            self._emulator.set_register(name, 0)
        self._emulator.set_register("xpsr", THUMB)
        self._emulator.set_register("sp", stack)
        self._stack_limit = stack_limit(self._loaded(), self.config, stack)

    def _go(self, until: int, deadline_s: float | None, max_cycles: int | None) -> None:
        ends = None if deadline_s is None else time.monotonic() + deadline_s
        budget = NO_LIMIT if max_cycles is None else self.clock.half + 2 * max_cycles
        self._events.begin(budget, may_interrupt=not self._called)
        self._reason, self._fault, self._model_error = "", None, None
        while not self._reason:
            if self._stopped:
                self._reason = "stopped"
                break
            self._step(until, ends)
        self._peripherals.uart.flush()

    def _step(self, until: int, ends: float | None) -> None:
        left = 0 if ends is None else max(1, int((ends - time.monotonic()) * 1e6))
        try:
            self._pc = self._emulator.run(self._pc, until, timeout_us=left)
        except EmulatorError as fault:
            self._pc = self._emulator.register("pc")
            if not self._events.returned_to(self._pc):
                self._faulted(fault)
                return
        self._raise_pending()
        if self._events.happened():
            self._resolve()
        elif self._pc == until:
            self._reason = self._reason or "until"
            self.clock.finish(until)
        elif ends is not None and time.monotonic() >= ends and not self._reason:
            self._raise("its deadline passed")
        elif not self._reason and not self._stopped:
            self._wait_for_event(ends)

    def _faulted(self, fault: EmulatorError) -> None:
        """To the firmware's handler where that is asked for; else the run ends with a report."""
        if self._emulator.register("msp") < self._stack_limit:
            self._raise(f"stack overflow: {fault}")
        if self.config.faults == "report" or self._called or not fault.cause:
            self._raise(str(fault))
        try:
            core = self._peripherals.core
            self._pc = self._events.faulted(core.fault(fault.cause, fault.address, self._pc))
        except ExceptionFault as lockup:
            self._raise(f"{lockup} ({fault})")

    def _resolve(self) -> None:
        try:
            self._pc = self._events.resolve(self._pc)
        except ExceptionFault as fault:
            self._raise(str(fault))
        except UcError as error:
            self._raise(f"semihosting with an address that is no memory: {error}")

    def _wait_for_event(self, ends: float | None) -> None:
        """WFI and WFE return to the host: an interrupt wakes the core, or else serial input."""
        self._peripherals.uart.flush()
        while self._events.sleep():
            if self._events.woken() or self._stopped or (ends and time.monotonic() >= ends):
                return
        if not self._peripherals.uart.wait():
            self._finish("idle")

    def hear(self, sound: Hearable) -> Self:
        """What the board's microphone hears from the moment that the firmware starts to capture."""
        self._bus.sound = sound
        return self

    def _exit(self, code: int) -> None:
        self._exit_code = code
        self._finish("exit")

    def _check_block(self, block: Block, self_loop: bool) -> None:
        if self_loop and block.idles and not self._events.expected():
            self._end_with("endless loop (a branch to itself)")
        elif why := self._refused_by_flash(block):
            self._end_with(f"execution from flash before it can be read: {why}")
        elif missing := self._missing(block):
            self._end_with(f"{self.core.name} has no instruction {missing}")
        elif block.uses_fpu and not self._called and not self._fpu_ready():
            self._end_with("floating-point instruction while the FPU is off (CPACR)")

    def _refused_by_flash(self, block: Block) -> str:
        """Why no code can be fetched where `block` is, "" if it can; a call is set up from here."""
        refused, start = self._bus.execution_refused, self.config.flash_origin
        if refused is None or self._called or not start <= block.start:
            return ""
        return refused() if block.start < start + self.config.flash_bytes else ""

    def _missing(self, block: Block) -> str:
        """The first instruction of the block that this part does not have, "" if it has all."""
        for feature, instruction in block.needs.items():
            if feature not in self.core.features or (feature == DSP and not self.config.dsp):
                return f"{instruction}; build it for this core"
        return ""

    def _fpu_ready(self) -> bool:
        return self.config.fpu and self._peripherals.core.fpu_enabled

    def _on_interrupt(self, number: int) -> None:
        try:
            self._events.on_interrupt(number)
        except BaseException as error:  # the binding would print it and go on
            self._on_model_error(error)

    def _check_stack(self) -> None:
        """The main stack only: threads of an operating system keep theirs elsewhere."""
        stack = self._emulator.register("msp")
        if stack < self._stack_limit:
            self._end_with(
                f"stack overflow: the stack pointer is 0x{stack:08x}, below the limit of the "
                f"stack at 0x{self._stack_limit:08x}"
            )

    def _raise(self, reason: str) -> None:
        registers = {name: self._emulator.register(name) for name in REGISTERS if name != "pc"}
        pc = self._emulator.register("pc")
        self._peripherals.uart.flush()
        function = self._loaded().function_at(pc)
        self._pc = -1
        tail = self._peripherals.uart.tail + self._console.tail
        raise GuestFault(FaultReport(reason, pc, function, registers, tail))

    def on_instruction(self, callback: Callable[[int, int, int], None]) -> None:
        """callback(engine, address, size) before each instruction of every later run: slow.

        It must not raise. Instructions of an IT block whose condition is false are not reported.
        """
        self._emulator.on_instruction(callback)

    def register_reader(self, number: int) -> Callable[[], int]:
        """Reads one core register, by capstone's number, also while the guest runs."""
        return self._emulator.reader(number)

    @property
    def core_hz(self) -> int:
        """The core clock as the firmware has set it up, where the family's clocks are modelled."""
        return self._bus.core_hz

    @property
    def baud(self) -> float:
        """The serial port's bits per second as the firmware has set them; 0 if not modelled."""
        return self._bus.baud()

    @property
    def flash_model(self) -> str:
        """What of the flash's wait states the clock counts, for reports."""
        return self._flash.text

    def profile(self) -> Profile:
        """Cycles by function and executions by timing class since the ELF was loaded."""
        return self.clock.profile(self._loaded())

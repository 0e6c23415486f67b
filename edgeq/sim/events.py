"""What interrupts the flow of a run: calls of the supervisor and the debugger, interrupts, returns.

The emulator cannot enter or leave an exception while it runs. So it is stopped at the end of a
block, what happened is done here, and it goes on where that leads.
"""

from collections.abc import Callable

from edgeq.sim.clock import NO_LIMIT, Clock
from edgeq.sim.emulator import Emulator
from edgeq.sim.exceptions import ExceptionFault, Exceptions
from edgeq.sim.semihosting import BREAKPOINT, Semihosting

SUPERVISOR_CALL, PREFETCH_ABORT, DATA_ABORT, BREAKPOINT_HIT, EXCEPTION_RETURN = 2, 3, 4, 7, 8
FAULTS = {
    PREFETCH_ABORT: "execution of an address that holds no code",
    DATA_ABORT: "unaligned load or store, which the core does not have",
    BREAKPOINT_HIT: "breakpoint instruction",
}
RETURN_VALUES = 0xFFFFFFE0  # EXC_RETURN of a core without security states: this and above
ENTRY, RETURN, SLEEP = "(exception entry)", "(exception return)", "(sleep)"


class Events:
    """`end_with(reason)` ends the run with a fault, `exits(code)` by the firmware's own wish."""

    def __init__(
        self,
        emulator: Emulator,
        clock: Clock,
        exceptions: Exceptions,
        semihosting: Semihosting,
        end_with: Callable[[str], None],
        exits: Callable[[int], None],
    ) -> None:
        self._emulator, self._clock = emulator, clock
        self._exceptions, self._semihosting = exceptions, semihosting
        self._end_with, self._exits = end_with, exits
        self._kind = ""
        self._budget = NO_LIMIT  # half cycles
        self._may_interrupt = False

    def begin(self, budget: int, *, may_interrupt: bool) -> None:
        """A run begins that may last until `budget` half cycles; a call is never interrupted."""
        self._kind, self._budget, self._may_interrupt = "", budget, may_interrupt
        self.set_limit()

    def set_limit(self) -> None:
        """The clock asks again when the next of all this is due."""
        due = self._exceptions.due() if self._may_interrupt else None
        self._clock.limit = min(self._budget, NO_LIMIT if due is None else 2 * due)

    def on_limit(self) -> None:
        """The clock is past what set_limit told it."""
        if self._clock.half > self._budget:
            self._end_with("its budget of cycles is spent")
            return
        self._exceptions.tick(self._clock.cycles)
        if self._exceptions.ready() is not None:
            self._stop_for("preempt")
        else:
            self.set_limit()

    def on_interrupt(self, number: int) -> None:
        """The emulator met an instruction, or an address, that the core takes as an exception."""
        pc = self._emulator.register("pc")
        if pc >= RETURN_VALUES:
            self._stop_for("return")
        elif number == SUPERVISOR_CALL:
            self._stop_for("svc")
        elif number == BREAKPOINT_HIT and self._emulator.read(pc, 2) == BREAKPOINT:
            self._stop_for("semihosting")
        else:
            self._end_with(FAULTS.get(number, f"exception {number} of the core"))

    def returned_to(self, pc: int) -> bool:
        """True if the address that no code can be fetched from is an exception return."""
        if pc >= RETURN_VALUES and self._exceptions.active:
            self._kind = "return"
        return self._kind == "return"

    def happened(self) -> bool:
        """True if the emulator was stopped for something that resolve() has to do."""
        return bool(self._kind)

    def resolve(self, pc: int) -> int:
        """Do it; the address to go on at. ExceptionFault if the core could not."""
        kind, self._kind = self._kind, ""
        steps = {"svc": self._call, "return": self._return, "preempt": self._preempt}
        address = steps.get(kind, self._semihost)(pc)
        self.set_limit()
        return address

    def faulted(self, handler: int) -> int:
        """The firmware's `handler` of a fault is entered: the address to go on at."""
        self._clock.enter()  # what ran of the block is not counted
        self._spend("exc", ENTRY)
        self.set_limit()
        return handler

    def sleep(self) -> bool:
        """The core waits for an interrupt: False if none is pending and nothing happens by itself;
        else it has slept until what happens next, of which woken() says whether it wakes.
        """
        if not self._may_interrupt:
            return False
        due = self._exceptions.due()
        if due is None:
            return False
        if not self._exceptions.pending:
            self._clock.spend(max(0, 2 * due - self._clock.half), SLEEP, "sleep")
            self._exceptions.tick(self._clock.cycles)
        self.set_limit()
        return True

    def woken(self) -> bool:
        """True if an interrupt is pending, which PRIMASK does not hold back, or time is up."""
        return self._exceptions.wakes() or self._clock.half > self._budget

    def expected(self) -> bool:
        """True if an exception may still interrupt an endless loop."""
        return self._may_interrupt and self._exceptions.due() is not None

    def _stop_for(self, kind: str) -> None:
        self._kind = kind
        self._emulator.stop()

    def _call(self, pc: int) -> int:
        self._clock.finish(pc)
        handler = self._exceptions.call(pc)
        self._spend("exc", ENTRY)
        return handler

    def _preempt(self, pc: int) -> int:
        number = self._exceptions.ready()
        self._clock.enter()  # the block at `pc` was announced but did not run
        if number is None:
            return pc
        handler = self._exceptions.take(number, pc)
        self._spend("exc", ENTRY)
        return handler

    def _return(self, pc: int) -> int:
        self._clock.finish(pc)
        address = self._exceptions.leave(pc | 1)
        self._spend("exret", RETURN)
        return address

    def _semihost(self, pc: int) -> int:
        self._clock.finish(pc + 2)
        operation, argument = self._emulator.register("r0"), self._emulator.register("r1")
        answer = self._semihosting.answer(operation, argument)
        if answer.refused:
            raise ExceptionFault(answer.refused)
        if answer.exit_code is None:
            self._emulator.set_register("r0", answer.r0)
        else:
            self._exits(answer.exit_code)
        return pc + 2

    def _spend(self, name: str, what: str) -> None:
        self._clock.spend(self._clock.table[name], what, name)

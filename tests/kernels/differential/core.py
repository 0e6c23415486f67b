"""Runs differential cases on a virtual Cortex-M4, on the kernels of one ELF."""

from tests.kernels.differential.case import Case, Difference, Memory
from tests.kernels.dsp.core import GUARD, Core


class OnCore:
    """`max_cycles`: what a call may take at most; a kernel that hangs is a GuestFault then."""

    def __init__(self, core: Core, max_cycles: int = 20_000_000) -> None:
        self.core, self.max_cycles = core, max_cycles

    def run(self, case: Case) -> int:
        """Cycles of all calls. Raises Difference, GuestFault."""
        kept: list[tuple[int, int]] = []

        def put(data: bytes, off: int) -> int:
            at = self.core.put(data, off)
            kept.append((at, len(data)))
            return at

        machine, cycles = self.core.machine, 0
        memory = Memory(put, 4)
        for call in case.calls:
            given = [memory.argument(a) & 0xFFFFFFFF for a in call.arguments]
            self.core.mark_kept()
            before = self.core.kept()
            result = machine.call(call.function, given, max_cycles=self.max_cycles)
            cycles += result.cycles
            if self.core.kept() != before:
                raise Difference(f"{case.label}: r4 to r11 are not as they were")
            if call.returns is not None and result.r0 != call.returns & 0xFFFFFFFF:
                raise Difference(f"{case.label}: r0 is {result.r0}, not {call.returns}")
        memory.check(machine.read, case.label)
        for at, size in kept:
            sides = machine.read(at - len(GUARD), len(GUARD)), machine.read(at + size, len(GUARD))
            if sides != (GUARD, GUARD):
                raise Difference(f"{case.label}: it wrote beside an operand of {size} bytes")
        self.core.rewind()
        if case.slower is not None and 1.02 * cycles > (other := self.run(case.slower)):
            raise Difference(f"{case.label}: {cycles} cycles; the slower way takes {other}")
        return cycles

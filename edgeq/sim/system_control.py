"""The system control space: SysTick, what the core says of itself, exceptions and their masks.

Armv7-M Architecture Reference Manual (DDI 0403), B3.2 and B3.3.
"""

from collections.abc import Callable

from edgeq.sim.dwt import Dwt
from edgeq.sim.exceptions import Exc, Exceptions

RESET_REQUEST = 1 << 2
TRACE_ENABLE = 1 << 24  # DEMCR.TRCENA
WORD = 0xFFFFFFFF
SCS_BASE = 0xE000E000
SYSTICK, SYSTICK_END = 0x010, 0x020
CPUID, ICSR, VTOR, AIRCR, CPACR, DEMCR = 0xD00, 0xD04, 0xD08, 0xD0C, 0xD88, 0xDFC
SHCSR, CFSR, HFSR, BFAR = 0xD24, 0xD28, 0xD2C, 0xD38
# by what went wrong: the handler, its bit of SHCSR, its bits of CFSR
FAULTS: dict[str, tuple[Exc, int, int]] = {
    "fetch": (Exc.BUS_FAULT, 17, 1 << 8),  # IBUSERR
    "access": (Exc.BUS_FAULT, 17, 1 << 9 | 1 << 15),  # PRECISERR, BFARVALID
    "undefined": (Exc.USAGE_FAULT, 18, 1 << 16),  # UNDEFINSTR
}
FORCED = 1 << 30  # of HFSR
SCR, MPU_CTRL, SAU_CTRL, DHCSR, FPCCR = 0xD10, 0xD94, 0xDD0, 0xDF0, 0xF34
# What has a model, or no effect on anything that is modelled: the fault status and the fault
# enables (a fault ends the run), MPU and SAU while they are off, the caches of an M7 (code and data
# count as resident), lazy stacking (the frame is written at once). The NVIC is in nvic.py.
KEPT = frozenset(
    (
        *range(0xD00, 0xD40, 4),
        *(0xD80, 0xD84, CPACR, DHCSR, DEMCR, FPCCR, 0xF38, 0xF3C),
        *range(0xD90, 0xDE8, 4),
        *range(0xF50, 0xF7C, 4),
    )
)
# (offsets, bits that need a model which is not there, what they ask for)
REFUSED: tuple[tuple[range, int, str], ...] = (
    (range(MPU_CTRL, MPU_CTRL + 1), 1, "enables the MPU (MPU_CTRL), which is not modelled"),
    (range(SAU_CTRL, SAU_CTRL + 1), 1, "enables the SAU (SAU_CTRL), which is not modelled"),
    (range(SCR, SCR + 1), 0b110, "asks for a sleep mode (SCR: SLEEPDEEP, SLEEPONEXIT), which is "
                                 "not modelled"),
)  # fmt: skip
UNKNOWN = "the model of the system control space has no such register"
# bytes of the system handlers' priorities
PRIORITY_OF = {0xD1F: Exc.SV_CALL, 0xD22: Exc.PEND_SV, 0xD23: Exc.SYS_TICK}
PRIORITIES = range(0xD18, 0xD24)
PENDING_BITS = ((28, 27, Exc.PEND_SV), (26, 25, Exc.SYS_TICK))  # set, clear


class SystemControl:
    """`now(is_load, address)`: whole cycles just before the running access to `address`.

    `refuse(reason)` ends the run with a report, `exits()` without; `changed()` is called when an
    exception may have come nearer.
    """

    def __init__(
        self,
        cpuid: int,
        dwt: Dwt,
        exceptions: Exceptions,
        now: Callable[[bool, int], int],
        refuse: Callable[[str], None],
        exits: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._cpuid, self._dwt, self._exceptions = cpuid, dwt, exceptions
        self._now, self._refuse, self._exits, self._changed = now, refuse, exits, changed
        self._words: dict[int, int] = {}  # registers that only keep what they were given

    @property
    def fpu_enabled(self) -> bool:
        """CPACR gives full access to the floating-point coprocessors."""
        return self._words.get(CPACR, 0) >> 20 & 0xF == 0xF

    def fault(self, cause: str, address: int, pc: int) -> int:
        """The instruction at `pc` faulted (FAULTS), at `address` if it accessed one: the address of
        the firmware's handler. ExceptionFault on a lockup.
        """
        own, bit, status = FAULTS[cause]
        enabled = bool(self._words.get(SHCSR, 0) >> bit & 1)
        number, handler = self._exceptions.fault(own, enabled, pc)
        self._words[CFSR] = self._words.get(CFSR, 0) | status
        if cause == "access":
            self._words[BFAR] = address
        if number == Exc.HARD_FAULT:
            self._words[HFSR] = self._words.get(HFSR, 0) | FORCED
        return handler

    def read(self, offset: int) -> int:
        """A register; what was written where nothing else is known."""
        if SYSTICK <= offset < SYSTICK_END:
            now = self._now(True, SCS_BASE + offset)
            return self._exceptions.systick.read(offset - SYSTICK, now)
        if offset in PRIORITIES:
            return self._priorities(offset)
        if self._exceptions.nvic.has(offset):
            return self._exceptions.nvic.read(offset)
        if offset & -4 not in KEPT:
            self._refuse(f"read of 0x{SCS_BASE + offset:08x}: {UNKNOWN}")
            return 0
        known = {CPUID: self._cpuid, VTOR: self._exceptions.vectors, ICSR: self._icsr()}
        return known.get(offset, self._words.get(offset, 0))

    def write(self, offset: int, value: int) -> None:
        """A register as the firmware writes it."""
        if SYSTICK <= offset < SYSTICK_END:
            now = self._now(False, SCS_BASE + offset)
            self._exceptions.systick.write(offset - SYSTICK, value, now)
            self._changed()
        elif offset in PRIORITIES:
            self._set_priorities(offset, value)
        elif self._exceptions.nvic.has(offset):
            if why := self._exceptions.nvic.write(offset, value & WORD):
                self._refuse(why)
        elif why := self._refusal(offset, value):
            self._refuse(why)
        else:
            self._write_other(offset, value)

    def _refusal(self, offset: int, value: int) -> str:
        """Why this write asks for what has no model, "" where it does not."""
        if offset & -4 not in KEPT:
            return f"write to 0x{SCS_BASE + offset:08x}: {UNKNOWN}"
        for offsets, bits, what in REFUSED:
            if offset in offsets and value & bits:
                return f"it {what}"
        return ""

    def _write_other(self, offset: int, value: int) -> None:
        if offset in (CFSR, HFSR):  # a 1 clears
            value = self._words.get(offset, 0) & ~value
        self._words[offset] = value & WORD
        if offset == ICSR:
            self._pend(value)
        elif offset == VTOR:
            self._exceptions.vectors = value & WORD & ~0x7F
        elif offset == AIRCR and value & RESET_REQUEST:
            self._exits()
        elif offset == DEMCR:
            self._dwt.trace(bool(value & TRACE_ENABLE), self._now(False, SCS_BASE + DEMCR))

    def _pend(self, value: int) -> None:
        for set_bit, clear_bit, number in PENDING_BITS:
            if value >> set_bit & 1:
                self._exceptions.pending.add(number)
            elif value >> clear_bit & 1:
                self._exceptions.pending.discard(number)
        self._changed()

    def _icsr(self) -> int:
        pending, active = self._exceptions.pending, self._exceptions.active
        bits = sum(1 << set_bit for set_bit, _, number in PENDING_BITS if number in pending)
        return bits | (min(pending) << 12 if pending else 0) | (active[-1] if active else 0)

    def _priorities(self, offset: int) -> int:
        numbers = (PRIORITY_OF.get(offset + at) for at in range(4))
        levels = [0 if one is None else self._exceptions.priority(one) for one in numbers]
        return int.from_bytes(bytes(levels), "little")

    def _set_priorities(self, offset: int, value: int) -> None:
        """A whole word, or the byte at an odd place: both ways are in use."""
        for at in range(4 if offset % 4 == 0 else 1):
            number = PRIORITY_OF.get(offset + at)
            if number is not None:
                self._exceptions.priorities[number] = value >> 8 * at & 0xFF
        self._changed()

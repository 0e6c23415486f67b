"""Exceptions: SVCall, PendSV, SysTick and devices, taken and left at the ends of basic blocks.

Armv7-M Architecture Reference Manual (DDI 0403): B1.5.4 priorities, B1.5.6 entry, B1.5.8 return.
Unicorn has no exception entry for this profile, so registers are stacked here; the emulator keeps
the two stack pointers apart by itself once the exception number stands in IPSR. The floating-point
registers are stacked at once, not lazily; subpriorities and tail-chaining are not modelled.
Interrupts of devices (nvic.py) come from what goes on beside the core (timeline.py).
"""

from enum import IntEnum

from unicorn import UcError  # type: ignore[attr-defined]

from edgeq.sim.emulator import Emulator
from edgeq.sim.nvic import FIRST, Nvic
from edgeq.sim.systick import SysTick
from edgeq.sim.timeline import Timeline


class Exc(IntEnum):
    """Exception numbers."""

    HARD_FAULT = 3
    BUS_FAULT = 5
    USAGE_FAULT = 6
    SV_CALL = 11
    PEND_SV = 14
    SYS_TICK = 15

    def __str__(self) -> str:
        return NAMES[self]


NAMES = {3: "HardFault", 5: "BusFault", 6: "UsageFault", 11: "SVC", 14: "PendSV", 15: "SysTick"}
THREAD_PRIORITY = 256
FRAME_WORDS, EXTENDED_WORDS = 8, 26  # with s0 to s15, FPSCR and a word for alignment
THUMB, ALIGNED, FLAGS, NUMBER = 1 << 24, 1 << 9, 0xF8000000, 0x1FF
SPSEL, FPCA = 2, 4
TO_HANDLER, TO_THREAD_MSP, TO_THREAD_PSP, BASIC_FRAME = 0xFFFFFFE1, 0xFFFFFFE9, 0xFFFFFFED, 0x10
STACKED = ("r0", "r1", "r2", "r3", "r12", "lr")
FP_STACKED = (*(f"s{number}" for number in range(16)), "fpscr")


def name_of(number: int) -> str:
    """An exception as a firmware's author calls it.

    >>> name_of(15), name_of(27)
    ('SysTick', 'interrupt 11')
    """
    return f"interrupt {number - FIRST}" if number >= FIRST else str(Exc(number))


class ExceptionFault(Exception):
    """The core would lock up or escalate to HardFault; the text says why."""


class Exceptions:
    """What is pending and active. `vectors`: address of the vector table in use."""

    def __init__(self, emulator: Emulator, systick: SysTick) -> None:
        self._emulator, self.systick = emulator, systick
        self.vectors = 0
        self.priorities: dict[int, int] = {}
        self.pending: set[int] = set()
        self.active: list[int] = []
        self.nvic = Nvic(self.pending, self.active, self.priorities)
        self.timeline = Timeline()

    def reset(self, vectors: int) -> None:
        """Nothing pending, all priorities zero."""
        self.vectors = vectors
        self.priorities.clear()
        self.pending.clear()
        self.active.clear()
        self.nvic.reset()

    def priority(self, number: int) -> int:
        """Zero unless the firmware has set another; HardFault's is fixed."""
        return -1 if number == Exc.HARD_FAULT else self.priorities.get(number, 0)

    def due(self) -> int | None:
        """Whole cycles from which on one may be taken; None while none is in sight."""
        if self.pending:
            return 0
        nexts = (self.systick.due(), self.timeline.due())
        return min((at for at in nexts if at is not None), default=None)

    def tick(self, now: int) -> None:
        """Devices act up to cycle `now`; SysTick is pended if its counter has passed zero."""
        self.timeline.advance(now)
        due = self.systick.due()
        if due is not None and due <= now:
            self.systick.raised(now)
            self.pending.add(Exc.SYS_TICK)

    def ready(self) -> int | None:
        """The pending exception that would be taken now: masks and priorities allow it."""
        if not self.pending:
            return None
        first = min(self.pending, key=lambda one: (self.priority(one), one))
        return first if self.priority(first) < self._execution_priority() else None

    def wakes(self) -> bool:
        """True if a pending exception ends WFI: PRIMASK does not hold that back."""
        return bool(self.pending)

    def call(self, pc: int) -> int:
        """SVC, whose next instruction is at `pc`: the handler's address."""
        if self.priority(Exc.SV_CALL) >= self._execution_priority():
            raise ExceptionFault("SVC where its priority does not allow it: HardFault")
        return self.take(Exc.SV_CALL, pc)

    def fault(self, own: Exc, enabled: bool, pc: int) -> tuple[Exc, int]:
        """A fault at `pc` that has a handler of its `own` if that is `enabled` and its priority
        allows it, else HardFault: what is entered, and the handler's address.
        """
        if Exc.HARD_FAULT in self.active:
            raise ExceptionFault("lockup: a fault within HardFault")
        escalates = not enabled or self.priority(own) >= self._execution_priority()
        number = Exc.HARD_FAULT if escalates else own
        return number, self.take(number, pc)

    def take(self, number: int, return_to: int) -> int:
        """Stack the registers and enter the handler of `number`; its address."""
        self.pending.discard(number)
        self.nvic.taken(number)
        handler = self._handler(number)
        control = self._get("control")
        on_psp = not self.active and bool(control & SPSEL)
        self._push("psp" if on_psp else "msp", return_to, with_fp=bool(control & FPCA))
        back = TO_HANDLER if self.active else TO_THREAD_PSP if on_psp else TO_THREAD_MSP
        self.active.append(number)
        self._set("xpsr", self._get("xpsr") & FLAGS | THUMB | number)
        self._set("control", control & ~FPCA)
        self._set("lr", back if control & FPCA else back | BASIC_FRAME)
        return handler

    def leave(self, value: int) -> int:
        """Return with EXC_RETURN `value`: unstack; the address to go on at."""
        if not self.active:
            raise ExceptionFault("exception return outside an exception")
        plain = value & ~BASIC_FRAME
        if plain not in (TO_HANDLER, TO_THREAD_MSP, TO_THREAD_PSP):
            raise ExceptionFault(f"exception return with the value 0x{value:08x}, which means none")
        if (plain == TO_HANDLER) != (len(self.active) > 1):
            raise ExceptionFault(f"exception return 0x{value:08x} to where no one was interrupted")
        self.nvic.left(self.active.pop())
        stack = "psp" if plain == TO_THREAD_PSP else "msp"
        return self._pop(stack, with_fp=not value & BASIC_FRAME)

    def _execution_priority(self) -> int:
        lowest = min((self.priority(one) for one in self.active), default=THREAD_PRIORITY)
        base = self._get("basepri")
        masked = 0 if self._get("primask") else base or THREAD_PRIORITY
        return min(lowest, -1 if self._get("faultmask") else masked)

    def _push(self, stack: str, return_to: int, *, with_fp: bool) -> None:
        before = self._get(stack)
        frame = (before - 4 * (EXTENDED_WORDS if with_fp else FRAME_WORDS)) & ~7
        xpsr = self._get("xpsr") & ~ALIGNED | (ALIGNED if before & 4 else 0)
        words = [*(self._get(name) for name in STACKED), return_to, xpsr]
        if with_fp:
            words += [self._get(name) for name in FP_STACKED]
        data = b"".join(word.to_bytes(4, "little") for word in words)
        try:
            self._emulator.write_as_guest(frame, data)
        except UcError as error:
            raise ExceptionFault(
                f"stack overflow: no room for an exception frame at 0x{frame:08x}"
            ) from error
        self._set(stack, frame)

    def _pop(self, stack: str, *, with_fp: bool) -> int:
        frame = self._get(stack)
        size = 4 * (EXTENDED_WORDS if with_fp else FRAME_WORDS)
        try:
            data = self._emulator.read(frame, size)
        except UcError as error:
            raise ExceptionFault(f"no exception frame at 0x{frame:08x}") from error
        words = [int.from_bytes(data[at : at + 4], "little") for at in range(0, size, 4)]
        pc, xpsr = words[6:FRAME_WORDS]
        self._set("xpsr", xpsr & ~ALIGNED | THUMB)  # IPSR first: it decides which stack "sp" is
        control = self._get("control") & ~(SPSEL | FPCA)
        if not xpsr & NUMBER:
            control |= SPSEL if stack == "psp" else 0
            self._set("control", control | (FPCA if with_fp else 0))
        self._set(stack, frame + size + (4 if xpsr & ALIGNED else 0))
        for name, word in zip(STACKED, words, strict=False):
            self._set(name, word)
        if with_fp:
            for name, word in zip(FP_STACKED, words[FRAME_WORDS:], strict=False):
                self._set(name, word)
        return pc & ~1

    def _handler(self, number: int) -> int:
        at = self.vectors + 4 * number
        try:
            vector = int.from_bytes(self._emulator.read(at, 4), "little")
        except UcError as error:
            raise ExceptionFault(f"no vector table at 0x{self.vectors:08x}") from error
        if not vector & 1:
            raise ExceptionFault(
                f"{name_of(number)} without a handler: its vector at 0x{at:08x} holds "
                f"0x{vector:08x}, which is no Thumb code"
            )
        return vector & ~1

    def _get(self, name: str) -> int:
        return self._emulator.register(name)

    def _set(self, name: str, value: int) -> None:
        self._emulator.set_register(name, value)

"""The CMSDK APB timer (Arm DDI 0479): counts down 32 bits at the core clock.

A core without DWT CYCCNT counts its cycles with it: SysTick's 24 bits wrap within one large layer.
"""

from collections.abc import Callable

CTRL, VALUE, RELOAD, INTERRUPT = 0x00, 0x04, 0x08, 0x0C
ENABLE, EXTERNAL, INTERRUPT_ENABLE = 1, 6, 8
WORD = 0xFFFFFFFF
UNKNOWN = "its model has no such register"


class CmsdkTimer:
    """One timer page. `now(is_load, offset)`: whole cycles just before the running access.

    `refuse(reason)` ends the run with a report.
    """

    def __init__(self, now: Callable[[bool, int], int], refuse: Callable[[str], None]) -> None:
        self._now, self._refuse = now, refuse
        self._ctrl = self._reload = 0
        self._value, self._since = 0, 0  # the counter, and when it had that value

    def read(self, offset: int) -> int:
        """A register as the firmware reads it."""
        if offset == VALUE:
            return self._count(self._now(True, offset))
        if offset not in (CTRL, RELOAD, INTERRUPT):
            self._refuse(f"read of offset 0x{offset:03x} of the timer: {UNKNOWN}")
        return {CTRL: self._ctrl, RELOAD: self._reload}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """A register as the firmware writes it; what it counted so far stays."""
        now = self._now(False, offset)
        self._value, self._since = self._count(now), now
        if offset == CTRL:
            if value & INTERRUPT_ENABLE:
                self._refuse("it enables the timer's interrupt; exceptions are not modelled: poll")
            if value & EXTERNAL:
                self._refuse("it drives the timer by its external input, which is not modelled")
            self._ctrl = value & 0xF
        elif offset == VALUE:
            self._value = value & WORD
        elif offset == RELOAD:
            self._reload = value & WORD
        elif offset != INTERRUPT:
            self._refuse(f"write to offset 0x{offset:03x} of the timer: {UNKNOWN}")

    def _count(self, now: int) -> int:
        elapsed = now - self._since if self._ctrl & ENABLE else 0
        if elapsed <= self._value:
            return self._value - elapsed
        return self._reload - (elapsed - self._value - 1) % (self._reload + 1)

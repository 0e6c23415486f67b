"""The cycle counter of the data watchpoint and trace unit, from the modelled clock.

Armv7-M Architecture Reference Manual (DDI 0403), C1.8. A core without it reads zeros.
"""

from collections.abc import Callable

CYCCNT_ENABLE = 1
WORD = 0xFFFFFFFF
DWT_BASE, CTRL, CYCCNT, LAR, LSR = 0xE0001000, 0x000, 0x004, 0xFB0, 0xFB4
UNKNOWN = "the model of the DWT has no such register"
EVENTS = 0x7F1000  # of CTRL: sampled program counters, interrupts and the further counters


class Dwt:
    """`now(is_load, address)`: whole cycles just before the running access to `address`.

    `refuse(reason)` ends the run: the counters beside CYCCNT and the comparators have no model.
    """

    def __init__(
        self, present: bool, now: Callable[[bool, int], int], refuse: Callable[[str], None]
    ) -> None:
        self._present, self._now, self._refuse = present, now, refuse
        self._ctrl = 0x40000000  # four comparators, as the M4 reports
        self._traced = False
        self._count, self._since = 0, 0  # CYCCNT's value and when it had it

    def trace(self, enabled: bool, now: int) -> None:
        """DEMCR.TRCENA, the master switch, as of cycle `now`."""
        self._count, self._since = self._value(now), now
        self._traced = enabled

    def read(self, offset: int) -> int:
        """A register as the firmware reads it."""
        if offset not in (CTRL, CYCCNT, LAR, LSR):
            self._refuse(f"read of 0x{DWT_BASE + offset:08x}: {UNKNOWN}")
        if not self._present:
            return 0
        if offset == CYCCNT:
            return self._value(self._now(True, DWT_BASE + CYCCNT))
        return self._ctrl if offset == CTRL else 0

    def write(self, offset: int, value: int) -> None:
        """A register as the firmware writes it; writing CYCCNT sets the counter."""
        if offset not in (CTRL, CYCCNT, LAR):
            self._refuse(f"write to 0x{DWT_BASE + offset:08x}: {UNKNOWN}")
        elif offset == CTRL and value & EVENTS:
            self._refuse(f"it asks the DWT for events (CTRL 0x{value:08x}), which are not modelled")
        now = self._now(False, DWT_BASE + offset)
        if offset == CYCCNT:
            self._count, self._since = value & WORD, now
        elif offset == CTRL:
            self._count, self._since = self._value(now), now
            self._ctrl = 0x40000000 | value & 0xFFF

    def _value(self, now: int) -> int:
        counting = self._traced and self._ctrl & CYCCNT_ENABLE
        return (self._count + (now - self._since if counting else 0)) & WORD

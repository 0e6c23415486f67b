"""The NVIC: devices' interrupts, enabled, pended and given priorities.

Armv7-M Architecture Reference Manual (DDI 0403), B3.4. Lines are level-sensitive: one that is still
high when its handler returns is pended again (B3.4.1). Only lines that a model drives exist: a
firmware that enables another is refused by name.
"""

from collections.abc import Callable, Iterator

WORD_LINES = 32
ENABLE, DISABLE, PEND, UNPEND, ACTIVE = 0x100, 0x180, 0x200, 0x280, 0x300
PRIORITY, END = 0x400, 0x5F0
BANK_BYTES = 0x40
FIRST = 16  # exception number of line 0


class Nvic:
    """`pending` and `active` are the core's, by exception number; `changed()` is told of a new one.

    Priorities by exception number lie in `priorities`, beside those of the core's own.
    """

    def __init__(self, pending: set[int], active: list[int], priorities: dict[int, int]) -> None:
        self._pending, self._active, self._priorities = pending, active, priorities
        self._lines: set[int] = set()
        self._enabled: set[int] = set()
        self._pended: set[int] = set()
        self._high: set[int] = set()
        self.changed: Callable[[], None] = lambda: None

    def reset(self) -> None:
        """No line enabled or pended."""
        for one in (self._enabled, self._pended, self._high):
            one.clear()

    def add(self, line: int) -> None:
        """A model drives `line`."""
        self._lines.add(line)

    def drive(self, line: int, high: bool) -> None:
        """The device's request: a rise pends the line."""
        if not high:
            self._high.discard(line)
        elif line not in self._high:
            self._high.add(line)
            self._pend(line)

    def taken(self, number: int) -> None:
        """The core enters the handler of exception `number`."""
        self._pended.discard(number - FIRST)

    def left(self, number: int) -> None:
        """The handler of exception `number` returned: a line that is still high asks again."""
        if number - FIRST in self._high:
            self._pend(number - FIRST)

    def has(self, offset: int) -> bool:
        """True of the offsets of its registers in the system control space."""
        return ENABLE <= offset < ACTIVE + BANK_BYTES or PRIORITY <= offset < END

    def read(self, offset: int) -> int:
        """A register; enabling and disabling read alike, and so do pending and clearing."""
        if offset >= PRIORITY:
            numbers = (offset - PRIORITY + at + FIRST for at in range(4))
            return int.from_bytes(bytes(self._priorities.get(one, 0) for one in numbers), "little")
        lines = {
            ENABLE: self._enabled,
            DISABLE: self._enabled,
            PEND: self._pended,
            UNPEND: self._pended,
        }.get(offset & -0x80, {number - FIRST for number in self._active})
        first = WORD_LINES * ((offset & 0x7F) // 4)
        return sum(1 << line - first for line in lines if 0 <= line - first < WORD_LINES)

    def write(self, offset: int, value: int) -> str:
        """Why the write asks for what has no model, "" where it does not."""
        if offset >= PRIORITY:
            self._set_priorities(offset, value)
            return ""
        bank = offset & -0x80
        for line in _lines_of(offset, value):
            if bank in (ENABLE, PEND) and line not in self._lines:
                what = "enables" if bank == ENABLE else "pends"
                return f"it {what} a device's interrupt in the NVIC ({line}), which is not modelled"
            self._act(bank, line)
        self.changed()
        return ""

    def _act(self, bank: int, line: int) -> None:
        if bank == ENABLE:
            self._enabled.add(line)
            if line in self._pended or line in self._high:
                self._pend(line)
        elif bank == DISABLE:
            self._enabled.discard(line)
            self._pending.discard(line + FIRST)
        elif bank == PEND:
            self._pend(line)
        elif bank == UNPEND:
            self._pended.discard(line)
            self._pending.discard(line + FIRST)

    def _pend(self, line: int) -> None:
        self._pended.add(line)
        if line in self._enabled:
            self._pending.add(line + FIRST)

    def _set_priorities(self, offset: int, value: int) -> None:
        """A whole word, or the byte at an odd place: both ways are in use."""
        for at in range(4 if offset % 4 == 0 else 1):
            self._priorities[offset - PRIORITY + at + FIRST] = value >> 8 * at & 0xFF
        self.changed()


def _lines_of(offset: int, value: int) -> Iterator[int]:
    first = WORD_LINES * ((offset & 0x7F) // 4)
    return (first + bit for bit in range(WORD_LINES) if value >> bit & 1)

"""One GPIO port of nRF52840 (Product Specification v1.7, 6.9)."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block

OUT, OUTSET, OUTCLR, IN, DIR, DIRSET, DIRCLR = range(0x504, 0x520, 4)
PIN_CNF = 0x700  # 32 of them; bit 0 is the direction
INPUT_OFF, PULL_UP = 2, 3
SIZE = 0x780


class Gpio(Block):
    """Pins 0 to 31. `marker` is the pin that a current meter watches, if it is one of these."""

    def __init__(self, bus: Bus, name: str, base: int, marker: int | None = None) -> None:
        offsets = (*range(0x504, 0x520, 4), *range(PIN_CNF, SIZE, 4))
        resets = dict.fromkeys(offsets, 0) | dict.fromkeys(range(PIN_CNF, SIZE, 4), INPUT_OFF)
        super().__init__(bus, name, base, resets)
        self._marker = marker

    def load(self, offset: int) -> int:
        """The set and clear registers read as what they act on."""
        if offset in (OUTSET, OUTCLR):
            return self.words[OUT]
        if offset in (DIR, DIRSET, DIRCLR):
            return sum((self.words[PIN_CNF + 4 * pin] & 1) << pin for pin in range(32))
        if offset == IN:
            return sum(self._level(pin) << pin for pin in range(32))
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Levels, and directions, which are also bit 0 of each pin's configuration."""
        levels = self.words[OUT]
        changed = {OUT: value, OUTSET: levels | value, OUTCLR: levels & ~value}.get(offset)
        if changed is not None:
            self._put(changed, offset)
            return
        before = self.load(DIR)
        pins = {DIR: value, DIRSET: before | value, DIRCLR: before & ~value}.get(offset)
        if pins is None:
            super().store(offset, value)
            return
        for pin in range(32):
            at = PIN_CNF + 4 * pin
            self.words[at] = self.words[at] & ~1 | pins >> pin & 1

    def is_output(self, pin: int) -> bool:
        """The pin is driven."""
        return bool(self.words[PIN_CNF + 4 * pin] & 1)

    def _level(self, pin: int) -> int:
        """What IN shows: nothing but its own output and its pull-up is wired to the pin."""
        word = self.words[PIN_CNF + 4 * pin]
        if word & INPUT_OFF:
            return 0
        return self.words[OUT] >> pin & 1 if word & 1 else int(word >> 2 & 3 == PULL_UP)

    def _put(self, levels: int, offset: int) -> None:
        self.words[OUT] = levels
        if self._marker is not None and self.is_output(self._marker):
            self.bus.set_marker(levels >> self._marker & 1, self.base + offset)

"""A peripheral's registers as far as they are modelled; any other is refused by its address."""

from collections.abc import Callable, Mapping

from edgeq.sim.bus import Bus

WORD = 0xFFFFFFFF
Gate = Callable[[], str]  # why the registers cannot be reached now, "" if they can


def always_on() -> str:
    """The gate of a peripheral that needs neither clock nor reset release."""
    return ""


class Block:
    """Registers by offset, each with its reset value. Subclasses say what `load` and `store` do.

    `gate` stands for the clock or reset that a peripheral needs before it answers: a firmware that
    forgot it is told so, where silicon would read zeros.
    """

    def __init__(
        self, bus: Bus, name: str, base: int, words: Mapping[int, int], gate: Gate = always_on
    ) -> None:
        self.bus, self.name, self.base = bus, name, base
        self.words = dict(words)
        self._gate = gate

    def read(self, offset: int) -> int:
        """A register as the firmware reads it."""
        return self.load(offset) if self._answers("read of", offset) else 0

    def write(self, offset: int, value: int) -> None:
        """A register as the firmware writes it."""
        if self._answers("write to", offset):
            self.store(offset, value & WORD)

    def load(self, offset: int) -> int:
        """What a modelled register reads as: what was written last."""
        return self.words[offset]

    def store(self, offset: int, value: int) -> None:
        """What writing a modelled register does: it keeps the value."""
        self.words[offset] = value

    def flag(self, name: str, bits: int) -> int:
        """`bits` of a ready flag whose condition is met, 0 if the test holds `name` back."""
        return 0 if name in self.bus.config.stuck else bits

    def _answers(self, access: str, offset: int) -> bool:
        where = f"unknown peripheral access: {access} 0x{self.base + offset:08x}"
        if offset not in self.words:
            self.bus.refuse(f"{where}: the model of {self.name} has no such register")
        elif why := self._gate():
            self.bus.refuse(f"{where}: {self.name} {why}")
        else:
            return True
        return False

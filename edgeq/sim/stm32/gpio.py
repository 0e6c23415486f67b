"""One GPIO port of an STM32 (RM0390, 7.4; RM0432, 8.4: the same layout)."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate
from edgeq.sim.stm32.clock_gate import clock_gate

MODER, OTYPER, OSPEEDR, PUPDR, IDR, ODR, BSRR, LCKR, AFRL, AFRH = range(0x00, 0x28, 4)
OUTPUT, ALTERNATE = 1, 2
PULL_UP = 1
SIZE = 0x400


class Gpio(Block):
    """Pins 0 to 15. `marker` is the pin that a current meter watches, if it is one of these."""

    def __init__(
        self, bus: Bus, name: str, base: int, gate: Gate, moder: int = 0, marker: int | None = None
    ) -> None:
        super().__init__(bus, name, base, dict.fromkeys(range(0x00, 0x28, 4), 0), gate)
        self.words[MODER] = moder
        self._marker = marker

    def load(self, offset: int) -> int:
        """IDR shows what an output drives and what a pull-up holds; nothing else is wired."""
        if offset != IDR:
            return super().load(offset)
        return sum(self._level(pin) << pin for pin in range(16))

    def store(self, offset: int, value: int) -> None:
        """BSRR sets by its lower half and clears by its upper one; setting wins."""
        if offset == BSRR:
            self._put((self.words[ODR] & ~(value >> 16) | value) & 0xFFFF, BSRR)
        elif offset == ODR:
            self._put(value & 0xFFFF, ODR)
        else:
            super().store(offset, value)

    def alternate(self, pin: int) -> int | None:
        """The alternate function of `pin`, None in any other mode."""
        if self._mode(pin) != ALTERNATE:
            return None
        return self.words[AFRL if pin < 8 else AFRH] >> 4 * (pin & 7) & 15

    def _level(self, pin: int) -> int:
        if self._mode(pin) == OUTPUT:
            return self.words[ODR] >> pin & 1
        return int(self.words[PUPDR] >> 2 * pin & 3 == PULL_UP)

    def _mode(self, pin: int) -> int:
        return self.words[MODER] >> 2 * pin & 3

    def _put(self, levels: int, offset: int) -> None:
        self.words[ODR] = levels
        if self._marker is not None and self._mode(self._marker) == OUTPUT:
            self.bus.set_marker(levels >> self._marker & 1, self.base + offset)


@dataclass(frozen=True)
class Ports:
    """Where a family has its ports, a letter each; `moder`: after reset, by letter or else."""

    base: int
    letters: str
    clock_register: int
    moder: Mapping[str, int]
    other_moder: int = 0

    def attach(self, bus: Bus, rcc: Block) -> dict[int, Gpio]:
        """By base address; one has the marker pin, where the port's configuration puts it."""
        config, made = bus.config.port_config, {}
        for index, letter in enumerate(self.letters):
            base = self.base + SIZE * index
            marker = config["MARKER_PIN"] if base == config["MARKER_GPIO_BASE"] else None
            gate = clock_gate(rcc, self.clock_register, index)
            moder = self.moder.get(letter, self.other_moder)
            made[base] = Gpio(bus, f"GPIO{letter}", base, gate, moder, marker)
        return made

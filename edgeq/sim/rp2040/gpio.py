"""GPIO of RP2040: functions in IO_BANK0 (datasheet, 2.19.6), levels in SIO (2.3.1)."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate

PINS = 30
FUNCTION_UART, FUNCTION_SIO, FUNCTION_NONE = 2, 5, 31
CPUID, GPIO_IN = 0x00, 0x04
OUT, OUT_SET, OUT_CLR, OUT_XOR = 0x10, 0x14, 0x18, 0x1C
OE, OE_SET, OE_CLR, OE_XOR = 0x20, 0x24, 0x28, 0x2C


class IoBank(Block):
    """GPIOn_CTRL, at 8 n + 4."""

    def __init__(self, bus: Bus, base: int, gate: Gate) -> None:
        offsets = (8 * pin + 4 for pin in range(PINS))
        super().__init__(bus, "IO_BANK0", base, dict.fromkeys(offsets, FUNCTION_NONE), gate)

    def function(self, pin: int) -> int:
        """What drives the pin."""
        return self.words[8 * pin + 4] & 31


class Sio(Block):
    """Levels and directions, with their set, clear and toggle registers; core 0 alone runs."""

    def __init__(self, bus: Bus, base: int, bank: IoBank) -> None:
        offsets = (CPUID, GPIO_IN, *range(OUT, OE_XOR + 4, 4))
        super().__init__(bus, "SIO", base, dict.fromkeys(offsets, 0))
        self._bank = bank
        self._marker = bus.config.port_config["MARKER_PIN"]

    def load(self, offset: int) -> int:
        """GPIO_IN shows what the pins are driven to: nothing else is wired."""
        if offset != GPIO_IN:
            return super().load(offset)
        driven = self.words[OUT] & self.words[OE]
        return sum(1 << pin for pin in range(PINS)
                   if driven >> pin & 1 and self._bank.function(pin) == FUNCTION_SIO)  # fmt: skip

    def store(self, offset: int, value: int) -> None:
        """Sets, clears or toggles bits of OUT or OE; the marker is seen once it is driven."""
        if offset < OUT:
            return  # read-only
        register = offset & ~12
        before = self.words[register]
        done = (value, before | value, before & ~value, before ^ value)
        self.words[register] = done[offset >> 2 & 3]
        pin = self._marker
        driven = self.words[OE] >> pin & 1 and self._bank.function(pin) == FUNCTION_SIO
        if driven:
            self.bus.set_marker(self.words[OUT] >> pin & 1, self.base + offset)

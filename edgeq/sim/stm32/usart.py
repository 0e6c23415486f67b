"""USART of STM32F4 (RM0390, 25.6): version 1, with one data register."""

from collections.abc import Callable

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate
from edgeq.sim.wire import Wire

SR, DR, BRR, CR1, CR2, CR3, GTPR = range(0x00, 0x1C, 4)
RXNE, TC, TXE = 1 << 5, 1 << 6, 1 << 7
RE, TE, UE = 1 << 2, 1 << 3, 1 << 13
SIZE = 0x400


class Usart(Block):
    """Polled, 16 samples a bit. `clock_hz()` is its bus clock, `wired()` whether TX has its pin."""

    def __init__(
        self,
        bus: Bus,
        base: int,
        gate: Gate,
        clock_hz: Callable[[], int],
        wired: Callable[[], bool],
    ) -> None:
        super().__init__(bus, "the USART", base, dict.fromkeys(range(0x00, 0x1C, 4), 0), gate)
        self.wire = Wire(bus, wired)
        self._clock_hz = clock_hz

    @property
    def baud(self) -> float:
        """Bits per second as the firmware has set them; 0 before."""
        divisor = self.words[BRR]
        return self._clock_hz() / divisor if divisor else 0.0

    def load(self, offset: int) -> int:
        """SR is the state of the wire, DR the received byte."""
        if offset == SR:
            received = RXNE if self._on(RE) and self.wire.has_input() else 0
            return received | self.flag("TXE", TXE | TC)
        return self.wire.receive() if offset == DR else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """DR sends where the transmitter is on; the receiver that goes on hears from then on."""
        if offset == DR:
            self.wire.send(value) if self._on(TE) else self.wire.answered()
            return
        heard = self._on(RE)
        super().store(offset, value)
        if self._on(RE) and not heard:
            self.wire.listen()

    def _on(self, part: int) -> bool:
        return self.words[CR1] & (UE | part) == UE | part

"""LPUART1 of STM32L4+ (RM0432, 51.7): version 2, its baud divisor has eight fractional bits."""

from collections.abc import Callable

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate
from edgeq.sim.wire import Wire

CR1, CR2, CR3, BRR, RQR, ISR, ICR, RDR, TDR, PRESC = (
    0x00, 0x04, 0x08, 0x0C, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x2C,
)  # fmt: skip
OFFSETS = (CR1, CR2, CR3, BRR, RQR, ISR, ICR, RDR, TDR, PRESC)
UE, RE, TE = 1 << 0, 1 << 2, 1 << 3
RXNE, TC, TXE = 1 << 5, 1 << 6, 1 << 7
SIZE = 0x400


class Lpuart(Block):
    """Polled. `clock_hz()` is its kernel clock, `wired()` whether TX reaches its pin."""

    def __init__(
        self,
        bus: Bus,
        base: int,
        gate: Gate,
        clock_hz: Callable[[], int],
        wired: Callable[[], bool],
    ) -> None:
        super().__init__(bus, "LPUART1", base, dict.fromkeys(OFFSETS, 0), gate)
        self.wire = Wire(bus, wired)
        self._clock_hz = clock_hz

    @property
    def baud(self) -> float:
        """Bits per second as the firmware has set them; 0 before."""
        divisor = self.words[BRR]
        return 256 * self._clock_hz() / divisor if divisor else 0.0

    def load(self, offset: int) -> int:
        """ISR is the state of the wire, RDR the received byte."""
        if offset == ISR:
            received = RXNE if self._on(RE) and self.wire.has_input() else 0
            return received | self.flag("TXE", TXE | TC)
        return self.wire.receive() if offset == RDR else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """TDR sends where the transmitter is on; the receiver that goes on hears from then on."""
        if offset == TDR:
            self.wire.send(value) if self._on(TE) else self.wire.answered()
            return
        heard = self._on(RE)
        super().store(offset, value)
        if self._on(RE) and not heard:
            self.wire.listen()

    def _on(self, part: int) -> bool:
        return self.words[CR1] & (UE | part) == UE | part

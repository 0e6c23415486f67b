"""LPUART1 of STM32L4+ (RM0432, 51.7): version 2, its baud divisor has eight fractional bits."""

from collections.abc import Callable
from typing import ClassVar

from edgeq.sim.bus import Bus
from edgeq.sim.polled_uart import PolledUart
from edgeq.sim.registers import Gate

CR1, CR2, CR3, BRR, RQR, ISR, ICR, RDR, TDR, PRESC = (
    0x00, 0x04, 0x08, 0x0C, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x2C,
)  # fmt: skip
OFFSETS = (CR1, CR2, CR3, BRR, RQR, ISR, ICR, RDR, TDR, PRESC)
UE, RE, TE = 1 << 0, 1 << 2, 1 << 3
RXNE, TC, TXE = 1 << 5, 1 << 6, 1 << 7
M1, M0, PCE = 1 << 28, 1 << 12, 1 << 10
DMAR, DMAT = 1 << 6, 1 << 7
SIZE = 0x400


class Lpuart(PolledUart):
    """Polled. `clock_hz()` is its kernel clock, `wired()` whether TX reaches its pin."""

    STATUS, RECEIVE, TRANSMIT, CONTROL = ISR, RDR, TDR, CR1
    ENABLE, RECEIVER, TRANSMITTER = UE, RE, TE
    REFUSED: ClassVar = {
        CR1: (M1 | M0 | PCE, "parity, 7 or 9 bits"),
        CR3: (DMAR | DMAT, "DMA"),
        PRESC: (0xF, "a prescaler of its clock"),
    }

    def __init__(
        self,
        bus: Bus,
        base: int,
        gate: Gate,
        clock_hz: Callable[[], int],
        wired: Callable[[], bool],
    ) -> None:
        words = dict.fromkeys(OFFSETS, 0)
        super().__init__(bus, "LPUART1", base, words, gate, clock_hz, wired)

    @property
    def baud(self) -> float:
        """Bits per second as the firmware has set them; 0 before."""
        divisor = self.words[BRR]
        return 256 * self._clock_hz() / divisor if divisor else 0.0

    def status(self, received: bool) -> int:
        """ISR."""
        return (RXNE if received else 0) | self.flag("TXE", TXE | TC)

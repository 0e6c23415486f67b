"""USART of STM32F4 (RM0390, 25.6): version 1, with one data register."""

from collections.abc import Callable
from typing import ClassVar

from edgeq.sim.bus import Bus
from edgeq.sim.polled_uart import PolledUart
from edgeq.sim.registers import Gate

SR, DR, BRR, CR1, CR2, CR3, GTPR = range(0x00, 0x1C, 4)
RXNE, TC, TXE = 1 << 5, 1 << 6, 1 << 7
RE, TE, UE = 1 << 2, 1 << 3, 1 << 13
OVER8, M, PCE = 1 << 15, 1 << 12, 1 << 10
DMAR, DMAT = 1 << 6, 1 << 7
SIZE = 0x400


class Usart(PolledUart):
    """Polled, 16 samples a bit. `clock_hz()` is its bus clock, `wired()` whether TX has its pin."""

    STATUS, RECEIVE, TRANSMIT, CONTROL = SR, DR, DR, CR1
    ENABLE, RECEIVER, TRANSMITTER = UE, RE, TE
    REFUSED: ClassVar = {
        CR1: (OVER8 | M | PCE, "parity, 9 bits or 8 samples a bit"),
        CR3: (DMAR | DMAT, "DMA"),
    }

    def __init__(
        self,
        bus: Bus,
        base: int,
        gate: Gate,
        clock_hz: Callable[[], int],
        wired: Callable[[], bool],
    ) -> None:
        words = dict.fromkeys(range(0x00, 0x1C, 4), 0)
        super().__init__(bus, "the USART", base, words, gate, clock_hz, wired)

    @property
    def baud(self) -> float:
        """Bits per second as the firmware has set them; 0 before."""
        divisor = self.words[BRR]
        return self._clock_hz() / divisor if divisor else 0.0

    def status(self, received: bool) -> int:
        """SR."""
        return (RXNE if received else 0) | self.flag("TXE", TXE | TC)

"""The UARTs of STM32: USART of STM32F4 (RM0390, 25.6), LPUART1 of STM32L4+ (RM0432, 51.7)."""

from collections.abc import Callable
from typing import ClassVar

from edgeq.sim.bus import Bus
from edgeq.sim.polled_uart import PolledUart
from edgeq.sim.registers import Gate

RXNE, TC, TXE = 1 << 5, 1 << 6, 1 << 7
RE, TE = 1 << 2, 1 << 3
DMA = 1 << 6 | 1 << 7
SIZE = 0x400


class Stm32Uart(PolledUart):
    """Polled. `clock_hz()` feeds it, `wired()`: whether TX reaches its pin.

    A subclass names its registers; a baud's divisor counts in parts of 1 / FRACTIONS.
    """

    NAME: ClassVar[str]
    OFFSETS: ClassVar[tuple[int, ...]]
    DIVISOR: ClassVar[int]
    FRACTIONS: ClassVar[int]
    RECEIVER, TRANSMITTER = RE, TE

    def __init__(
        self,
        bus: Bus,
        base: int,
        gate: Gate,
        clock_hz: Callable[[], int],
        wired: Callable[[], bool],
    ) -> None:
        super().__init__(
            bus, self.NAME, base, dict.fromkeys(self.OFFSETS, 0), gate, clock_hz, wired
        )

    @property
    def baud(self) -> float:
        """Bits per second as the firmware has set them; 0 before."""
        divisor = self.words[self.DIVISOR]
        return self.FRACTIONS * self._clock_hz() / divisor if divisor else 0.0

    def status(self, received: bool) -> int:
        """SR or ISR: the bits stand at the same places."""
        return (RXNE if received else 0) | self.flag("TXE", TXE | TC)


class Usart(Stm32Uart):
    """Version 1, with one data register, 16 samples a bit."""

    SR, DR, BRR, CR1, CR2, CR3, GTPR = OFFSETS = tuple(range(0x00, 0x1C, 4))
    NAME = "the USART"
    STATUS, RECEIVE, TRANSMIT, CONTROL, DIVISOR = SR, DR, DR, CR1, BRR
    ENABLE, FRACTIONS = 1 << 13, 1
    REFUSED: ClassVar = {
        CR1: (1 << 15 | 1 << 12 | 1 << 10, "parity, 9 bits or 8 samples a bit"),
        CR3: (DMA, "DMA"),
    }


class Lpuart(Stm32Uart):
    """Version 2."""

    CR1, CR2, CR3, BRR, RQR, ISR, ICR, RDR, TDR, PRESC = OFFSETS = (
        0x00, 0x04, 0x08, 0x0C, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x2C,
    )  # fmt: skip
    NAME = "LPUART1"
    STATUS, RECEIVE, TRANSMIT, CONTROL, DIVISOR = ISR, RDR, TDR, CR1, BRR
    ENABLE, FRACTIONS = 1 << 0, 256
    REFUSED: ClassVar = {
        CR1: (1 << 28 | 1 << 12 | 1 << 10, "parity, 7 or 9 bits"),
        CR3: (DMA, "DMA"),
        PRESC: (0xF, "a prescaler of its clock"),
    }

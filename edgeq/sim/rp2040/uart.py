"""The PL011 UART of RP2040 (datasheet, 4.2.8)."""

from collections.abc import Callable

from edgeq.sim.bus import Bus
from edgeq.sim.polled_uart import PolledUart
from edgeq.sim.registers import Gate

DR, RSR, FR, IBRD, FBRD, LCR_H, CR, IFLS, IMSC = (
    0x00, 0x04, 0x18, 0x24, 0x28, 0x2C, 0x30, 0x34, 0x38,
)  # fmt: skip
OFFSETS = (DR, RSR, FR, IBRD, FBRD, LCR_H, CR, IFLS, IMSC)
RX_EMPTY, TX_FULL, TX_EMPTY = 1 << 4, 1 << 5, 1 << 7
UART_ENABLE, TX_ENABLE, RX_ENABLE = 1 << 0, 1 << 8, 1 << 9


class Pl011(PolledUart):
    """Polled. `clock_hz()` is clk_peri; the divisors hold from the write of LCR_H after them."""

    STATUS, RECEIVE, TRANSMIT, CONTROL = FR, DR, DR, CR
    ENABLE, RECEIVER, TRANSMITTER = UART_ENABLE, RX_ENABLE, TX_ENABLE

    def __init__(
        self,
        bus: Bus,
        base: int,
        gate: Gate,
        clock_hz: Callable[[], int],
        wired: Callable[[], bool],
    ) -> None:
        words = dict.fromkeys(OFFSETS, 0) | {CR: 0x300}
        self._divisor = 0  # of baud times 16, in 64ths
        super().__init__(
            bus, "UART0", base, words, gate, clock_hz, lambda: wired() and self.baud > 0
        )

    @property
    def baud(self) -> float:
        """Bits per second as the firmware has set them; 0 before, or without a clock."""
        return self._clock_hz() * 64 / (16 * self._divisor) if self._divisor else 0.0

    def status(self, received: bool) -> int:
        """FR."""
        return (0 if received else RX_EMPTY) | (self.flag("TX_READY", TX_EMPTY) or TX_FULL)

    def store(self, offset: int, value: int) -> None:
        """LCR_H takes the divisors that stand before it."""
        super().store(offset, value)
        if offset == LCR_H:
            self._divisor = (self.words[IBRD] & 0xFFFF) << 6 | self.words[FBRD] & 63

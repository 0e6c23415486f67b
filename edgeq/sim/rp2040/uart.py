"""The PL011 UART of RP2040 (datasheet, 4.2.8)."""

from collections.abc import Callable

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate
from edgeq.sim.wire import Wire

DR, RSR, FR, IBRD, FBRD, LCR_H, CR, IFLS, IMSC = (
    0x00, 0x04, 0x18, 0x24, 0x28, 0x2C, 0x30, 0x34, 0x38,
)  # fmt: skip
OFFSETS = (DR, RSR, FR, IBRD, FBRD, LCR_H, CR, IFLS, IMSC)
RX_EMPTY, TX_FULL, TX_EMPTY = 1 << 4, 1 << 5, 1 << 7
UART_ENABLE, TX_ENABLE, RX_ENABLE = 1 << 0, 1 << 8, 1 << 9


class Pl011(Block):
    """Polled. `clock_hz()` is clk_peri; the divisors hold from the write of LCR_H after them."""

    def __init__(
        self,
        bus: Bus,
        base: int,
        gate: Gate,
        clock_hz: Callable[[], int],
        wired: Callable[[], bool],
    ) -> None:
        super().__init__(bus, "UART0", base, dict.fromkeys(OFFSETS, 0) | {CR: 0x300}, gate)
        self.wire = Wire(bus, lambda: wired() and self.baud > 0)
        self._clock_hz = clock_hz
        self._divisor = 0  # of baud times 16, in 64ths

    @property
    def baud(self) -> float:
        """Bits per second as the firmware has set them; 0 before, or without a clock."""
        return self._clock_hz() * 64 / (16 * self._divisor) if self._divisor else 0.0

    def load(self, offset: int) -> int:
        """FR is the state of the wire, DR the received byte."""
        if offset == FR:
            there = self._on(RX_ENABLE) and self.wire.has_input()
            return (0 if there else RX_EMPTY) | (self.flag("TX_READY", TX_EMPTY) or TX_FULL)
        return self.wire.receive() if offset == DR else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """DR sends where the transmitter is on; the receiver that goes on hears from then on."""
        if offset == DR:
            self.wire.send(value) if self._on(TX_ENABLE) else self.wire.answered()
            return
        heard = self._on(RX_ENABLE)
        super().store(offset, value)
        if offset == LCR_H:
            self._divisor = (self.words[IBRD] & 0xFFFF) << 6 | self.words[FBRD] & 63
        if self._on(RX_ENABLE) and not heard:
            self.wire.listen()

    def _on(self, part: int) -> bool:
        return self.words[CR] & (UART_ENABLE | part) == UART_ENABLE | part

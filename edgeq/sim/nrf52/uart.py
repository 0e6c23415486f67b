"""UART of nRF52840, without DMA (Product Specification v1.7, 6.33): tasks start, events tell."""

from collections.abc import Callable

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block
from edgeq.sim.wire import Wire

STARTRX, STOPRX, STARTTX, STOPTX = 0x000, 0x004, 0x008, 0x00C
RXDRDY, TXDRDY, ERROR, ERRORSRC = 0x108, 0x11C, 0x124, 0x480
ENABLE, PSEL_RTS, PSEL_TXD, PSEL_CTS, PSEL_RXD = 0x500, 0x508, 0x50C, 0x510, 0x514
RXD, TXD, BAUDRATE, CONFIG = 0x518, 0x51C, 0x524, 0x56C
ENABLED = 4
PARITY = 0xE  # of CONFIG
UNCONNECTED = 0xFFFFFFFF
BAUD_CLOCK_HZ = 16_000_000
TASKS = (STARTRX, STOPRX, STARTTX, STOPTX)
PINS = (PSEL_RTS, PSEL_TXD, PSEL_CTS, PSEL_RXD)
OTHERS = (RXDRDY, TXDRDY, ERROR, ERRORSRC, ENABLE, RXD, TXD, BAUDRATE, CONFIG)
RESETS = dict.fromkeys(TASKS + OTHERS, 0) | dict.fromkeys(PINS, UNCONNECTED)


class Uart(Block):
    """Polled; RXDRDY comes again for each byte that waits. `drives(pin)`: it is an output."""

    def __init__(self, bus: Bus, base: int, drives: Callable[[int], bool]) -> None:
        super().__init__(bus, "the UART", base, RESETS | {BAUDRATE: 0x04000000})
        self.wire = Wire(bus, self._wired)
        self._drives = drives
        self._sends = self._receives = False

    @property
    def baud(self) -> float:
        """Bits per second as the firmware has set them."""
        return self.words[BAUDRATE] * BAUD_CLOCK_HZ / 2**32

    def load(self, offset: int) -> int:
        """RXDRDY is the state of the wire, RXD the received byte."""
        if offset == RXDRDY:
            return int(self._on() and self._receives and self.wire.has_input())
        return self.wire.receive() if offset == RXD else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """A task acts on 1; TXD sends, at once, and TXDRDY says so."""
        if offset in TASKS:
            self._act(offset, value)
        elif offset == TXD:
            self._send(value)
        else:
            if offset == CONFIG and value & PARITY:
                self.bus.refuse("it asks the UART for parity, which is not modelled")
            super().store(offset, value)

    def _act(self, task: int, value: int) -> None:
        if not value & 1:
            return
        if task == STARTRX and not self._receives:
            self.wire.listen()
        self._receives = task == STARTRX or (self._receives and task != STOPRX)
        self._sends = task == STARTTX or (self._sends and task != STOPTX)

    def _send(self, value: int) -> None:
        if self._on() and self._sends:
            self.wire.send(value)
            self.words[TXDRDY] = self.flag("TXDRDY", 1)

    def _on(self) -> bool:
        return self.words[ENABLE] == ENABLED

    def _wired(self) -> bool:
        pin = self.words[PSEL_TXD]
        return pin != UNCONNECTED and self._drives(pin & 63)

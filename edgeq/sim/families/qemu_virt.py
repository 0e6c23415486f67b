"""QEMU's RISC-V machine "virt" (hw/riscv/virt.c): a 16550 and the CLINT's timer.

The timer counts instructions here; the marker is the UART's scratch register, which drives nothing.
"""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block
from edgeq.sim.uart import Uart
from edgeq.sim.wire import Wire

DATA, INTERRUPTS, FIFO, LINE, LINE_STATUS, SCRATCH = 0, 1, 2, 3, 5, 7
DIVISOR_LATCH = 0x80
RX_READY, TX_EMPTY = 0x01, 0x60


class Uart16550(Block):
    """PC16550D, section 8, as far as a polling firmware needs it; its transmitter is never full."""

    def __init__(self, bus: Bus, base: int) -> None:
        super().__init__(bus, "the UART", base, dict.fromkeys(range(8), 0))
        self.wire = Wire(bus)

    def load(self, offset: int) -> int:
        """A register as the firmware reads it."""
        if offset == LINE_STATUS:
            return TX_EMPTY | (RX_READY if self.wire.has_input() else 0)
        return self.wire.receive() if offset == DATA else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """A register as the firmware writes it."""
        value &= 0xFF
        if offset == DATA:
            self.wire.send(value)
            return
        if offset == INTERRUPTS and value:
            self.bus.refuse("it asks the UART for interrupts, which are not modelled: poll")
        elif offset == LINE and value & DIVISOR_LATCH:
            self.bus.refuse("it sets the UART's divisor, which QEMU's does not need")
        elif offset == FIFO:
            self.wire.listen()
        elif offset == SCRATCH:
            self.bus.set_marker(value & 1, self.base + SCRATCH)
        super().store(offset, value)


class Mtime(Block):
    """The low and high word of mtime: a tick an instruction."""

    def __init__(self, bus: Bus, base: int) -> None:
        super().__init__(bus, "the timer", base, {0: 0, 4: 0})

    def load(self, offset: int) -> int:
        """Instructions so far."""
        return (self.bus.now(True, self.base + offset) >> (8 * offset)) & 0xFFFFFFFF


def attach(bus: Bus) -> Uart:
    """The UART and the timer where the board's port has them."""
    addresses = bus.config.port_config
    uart = Uart16550(bus, addresses["UART_BASE"])
    bus.map(uart.base, uart, 8)
    timer = addresses["TIMER_REGISTER"]
    bus.map(timer, Mtime(bus, timer), 8)
    return uart.wire

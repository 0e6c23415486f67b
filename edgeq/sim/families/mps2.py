"""Arm MPS2 with image AN386 (Arm DAI 0386): CMSDK UART and timer, the marker on FPGAIO's LEDs."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block
from edgeq.sim.timer_cmsdk import CmsdkTimer
from edgeq.sim.uart import Uart
from edgeq.sim.uart_cmsdk import CmsdkUart

UART_BASE = 0x40004000
FPGAIO_BASE = 0x40028000
LED, BUTTON = 0x000, 0x008


class Fpgaio(Block):
    """The LED register is the marker; no button is ever pressed. Its counters have no model."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus, "FPGAIO", FPGAIO_BASE, {LED: 0, BUTTON: 0})

    def load(self, offset: int) -> int:
        """The level of the marker."""
        return self.bus.marker if offset == LED else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """The marker pin."""
        if offset == LED:
            self.bus.set_marker(value, FPGAIO_BASE)


def attach(bus: Bus) -> Uart:
    """UART0, the LEDs, and TIMER0 where the board's port counts cycles with it."""
    addresses = bus.config.port_config
    uart = CmsdkUart(bus, addresses.get("UART_BASE", UART_BASE))
    bus.map(uart.base, uart)
    bus.map(FPGAIO_BASE, Fpgaio(bus))
    timer = addresses.get("TIMER_BASE")
    if timer is not None:
        bus.map(
            timer, CmsdkTimer(lambda is_load, offset: bus.now(is_load, timer + offset), bus.refuse)
        )
    return uart.wire

"""Arm MPS2 with image AN386 (Arm DAI 0386): CMSDK UART and timer, FPGAIO LEDs as the marker."""

from edgeq.sim.bus import Bus
from edgeq.sim.timer_cmsdk import CmsdkTimer
from edgeq.sim.uart import Uart
from edgeq.sim.uart_cmsdk import CmsdkUart

UART_BASE = 0x40004000
LED_BASE = 0x40028000  # FPGAIO; register 0 is the marker


class Leds:
    """FPGAIO, of which the LED register is the marker."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def read(self, offset: int) -> int:
        """The level of the marker; other registers read as zero."""
        return self._bus.marker if offset == 0 else 0

    def write(self, offset: int, value: int) -> None:
        """The marker pin; other registers take no notice."""
        if offset == 0:
            self._bus.set_marker(value, LED_BASE)


def attach(bus: Bus) -> Uart:
    """UART0, the LEDs, and TIMER0 where the board's port counts cycles with it."""
    addresses = bus.config.port_config
    uart = CmsdkUart(bus)
    bus.map(addresses.get("UART_BASE", UART_BASE), uart)
    bus.map(LED_BASE, Leds(bus))
    timer = addresses.get("TIMER_BASE")
    if timer is not None:
        bus.map(
            timer, CmsdkTimer(lambda is_load, offset: bus.now(is_load, timer + offset), bus.refuse)
        )
    return uart.wire

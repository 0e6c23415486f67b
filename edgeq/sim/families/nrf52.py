"""nRF52840: crystal, UART0, two GPIO ports, PDM, the marker (Product Specification v1.7)."""

from edgeq.sim.bus import Bus
from edgeq.sim.nrf52 import clock, gpio, nvmc, pdm, uart
from edgeq.sim.uart import Uart

CLOCK_BASE, PDM_BASE, NVMC_BASE = 0x40000000, 0x4001D000, 0x4001E000
GPIO_BASES = {"P0": 0x50000000, "P1": 0x50000300}


def attach(bus: Bus) -> Uart:
    """Where the port's own configuration puts the UART's pins and the marker."""
    config = bus.config.port_config
    ports = {base: _port(bus, name, base) for name, base in GPIO_BASES.items()}

    def drives(pin: int) -> bool:  # numbered as PSEL has it: the port is bit 5
        return tuple(ports.values())[pin >> 5 & 1].is_output(pin & 31)

    serial = uart.Uart(bus, config["UART_BASE"], drives)
    microphone = pdm.Pdm(bus, PDM_BASE, drives)
    for block in (clock.Clock(bus, CLOCK_BASE), nvmc.Nvmc(bus, NVMC_BASE), serial, microphone):
        bus.map(block.base, block)
    for port in ports.values():  # P1's registers begin where P0's end: P0 comes first
        bus.map(port.base, port, gpio.SIZE)
    bus.baud = lambda: serial.baud
    return serial.wire


def _port(bus: Bus, name: str, base: int) -> gpio.Gpio:
    config = bus.config.port_config
    marker = config["MARKER_PIN"] if base == config["MARKER_GPIO_BASE"] else None
    return gpio.Gpio(bus, name, base, marker)

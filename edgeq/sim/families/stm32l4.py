"""STM32L4R5: clock tree from HSI16, LPUART1 on port G, GPIO, the marker, sound in (RM0432)."""

from edgeq.sim.bus import Bus
from edgeq.sim.stm32 import capture_l4, flash, gpio, pwr_l4, rcc_l4, usart
from edgeq.sim.stm32.clock_gate import clock_gate
from edgeq.sim.uart import Uart

RCC_BASE, FLASH_BASE, PWR_BASE = 0x40021000, 0x40022000, 0x40007000
MODER_RESET = {"A": 0xABFFFFFF, "B": 0xFFFFFEBF}  # the debug pins; all others analog
PORTS = gpio.Ports(0x48000000, "ABCDEFGHI", rcc_l4.AHB2ENR, MODER_RESET, 0xFFFFFFFF)
PWREN, LPUART1EN = 28, 0
ACR_AT_RESET = 0x600  # both caches are on
FETCH_BYTES = 8  # RM0432, 3.3.1: reads of 64 bits in two banks, which is how the part is delivered


def attach(bus: Bus) -> Uart:
    """Where the port's own configuration puts the marker and LPUART1's pins."""
    config = bus.config.port_config
    acr = flash.Flash(bus, FLASH_BASE, FETCH_BYTES, ACR_AT_RESET)
    rcc = rcc_l4.Rcc(bus, RCC_BASE, acr)
    pwr = pwr_l4.Pwr(bus, PWR_BASE, clock_gate(rcc, rcc_l4.APB1ENR1, PWREN))
    rcc.watch(pwr)
    ports = PORTS.attach(bus, rcc)
    pins = ports[config["UART_GPIO_BASE"]]

    def wired() -> bool:
        function = pins.alternate(config["UART_TX_PIN"])
        supplied = pwr.port_g_supplied or pins.name != "GPIOG"
        return supplied and function == config["UART_FUNCTION"]

    gate = clock_gate(rcc, rcc_l4.APB1ENR2, LPUART1EN)
    serial = usart.Lpuart(bus, config["UART_BASE"], gate, lambda: rcc.lpuart_hz, wired)
    for block in (rcc, acr, pwr, *ports.values(), serial):
        bus.map(block.base, block, gpio.SIZE)
    capture_l4.Capture(bus, rcc).attach()
    bus.baud = lambda: serial.baud
    return serial.wire

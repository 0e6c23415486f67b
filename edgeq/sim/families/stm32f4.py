"""STM32F401, F405, F446: clock tree from HSI, one USART, GPIO, the marker (RM0390, RM0368)."""

from edgeq.sim.bus import Bus
from edgeq.sim.stm32 import flash, gpio, pwr_f4, rcc_f4, usart
from edgeq.sim.stm32.clock_gate import clock_gate
from edgeq.sim.uart import Uart

RCC_BASE, FLASH_BASE, PWR_BASE = 0x40023800, 0x40023C00, 0x40007000
MODER_RESET = {"A": 0xA8000000, "B": 0x00000280}  # the debug pins
PORTS = gpio.Ports(0x40020000, "ABCDEFGH", rcc_f4.AHB1ENR, MODER_RESET)
PWREN = 28
FETCH_BYTES = 16  # RM0390, 3.4.2: reads of 128 bits


def attach(bus: Bus) -> Uart:
    """Where the port's own configuration puts USART and marker."""
    config = bus.config.port_config
    rcc = rcc_f4.Rcc(bus, RCC_BASE)
    acr = flash.Flash(bus, FLASH_BASE, FETCH_BYTES)
    pwr = pwr_f4.Pwr(bus, PWR_BASE, clock_gate(rcc, rcc_f4.APB1ENR, PWREN))
    rcc.watch(acr, pwr)
    ports = PORTS.attach(bus, rcc)
    enable = config["UART_ENABLE_REGISTER"] - RCC_BASE
    pins = ports[config["UART_GPIO_BASE"]]
    serial = usart.Usart(
        bus,
        config["UART_BASE"],
        clock_gate(rcc, enable, config["UART_ENABLE_BIT"]),
        lambda: rcc.apb_hz(second=enable == rcc_f4.APB2ENR),
        lambda: pins.alternate(config["UART_TX_PIN"]) == config["UART_FUNCTION"],
    )
    for block in (rcc, acr, pwr, *ports.values(), serial):
        bus.map(block.base, block, gpio.SIZE)
    bus.baud = lambda: serial.baud
    return serial.wire

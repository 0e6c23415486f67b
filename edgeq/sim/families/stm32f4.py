"""STM32F401, F405, F446: clock tree from HSI, USART, GPIO, marker, sound (RM0390, RM0368)."""

from edgeq.sim.bus import Bus
from edgeq.sim.stm32 import adc_f4, dma_f4, flash, gpio, pwr_f4, rcc_f4, timer, usart
from edgeq.sim.stm32.capture import Capture
from edgeq.sim.stm32.clock_gate import clock_gate
from edgeq.sim.uart import Uart

RCC_BASE, FLASH_BASE, PWR_BASE = 0x40023800, 0x40023C00, 0x40007000
MODER_RESET = {"A": 0xA8000000, "B": 0x00000280}  # the debug pins
PORTS = gpio.Ports(0x40020000, "ABCDEFGH", rcc_f4.AHB1ENR, MODER_RESET)
TIM3_BASE, DMA2_BASE, ADC_BASE = 0x40000400, 0x40026400, 0x40012000
PWREN, TIM3EN, DMA2EN, ADC1EN = 28, 1, 22, 8
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
    _attach_capture(bus, rcc)
    bus.baud = lambda: serial.baud
    return serial.wire


def _attach_capture(bus: Bus, rcc: rcc_f4.Rcc) -> None:
    """TIM3 triggers ADC1, which DMA2's stream 0 empties."""
    clock = timer.Timer(bus, "TIM3", TIM3_BASE, clock_gate(rcc, rcc_f4.APB1ENR, TIM3EN))
    stream = dma_f4.Stream(bus, DMA2_BASE, clock_gate(rcc, rcc_f4.AHB1ENR, DMA2EN))
    gate = clock_gate(rcc, rcc_f4.APB2ENR, ADC1EN)
    adc = adc_f4.Adc(bus, ADC_BASE, gate, lambda: rcc.apb_hz(second=True))
    Capture(bus, clock, adc, stream, ADC_BASE + adc_f4.DR, lambda: rcc.timer_divider)
    bus.map(TIM3_BASE, clock, timer.SIZE)
    bus.map(DMA2_BASE, stream, dma_f4.SIZE)
    bus.map(ADC_BASE, adc, adc_f4.SIZE)

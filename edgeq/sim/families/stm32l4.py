"""STM32L4R5: clock tree from HSI16, LPUART1 on port G, GPIO, the marker, sound in (RM0432)."""

from edgeq.sim.bus import Bus
from edgeq.sim.stm32 import adc_l4, dma_l4, flash, gpio, pwr_l4, rcc_l4, timer, usart
from edgeq.sim.stm32.capture import Capture
from edgeq.sim.stm32.clock_gate import clock_gate
from edgeq.sim.uart import Uart

RCC_BASE, FLASH_BASE, PWR_BASE = 0x40021000, 0x40022000, 0x40007000
MODER_RESET = {"A": 0xABFFFFFF, "B": 0xFFFFFEBF}  # the debug pins; all others analog
PORTS = gpio.Ports(0x48000000, "ABCDEFGHI", rcc_l4.AHB2ENR, MODER_RESET, 0xFFFFFFFF)
TIM6_BASE, DMA1_BASE, DMAMUX1_BASE, ADC_BASE = 0x40001000, 0x40020000, 0x40020800, 0x50040000
PWREN, LPUART1EN = 28, 0
TIM6EN, DMA1EN, DMAMUX1EN, ADCEN = 4, 0, 2, 13
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
    _attach_capture(bus, rcc)
    bus.baud = lambda: serial.baud
    return serial.wire


def _attach_capture(bus: Bus, rcc: rcc_l4.Rcc) -> None:
    """TIM6 triggers ADC1, which DMA1's first channel empties."""
    clock = timer.Timer(bus, "TIM6", TIM6_BASE, clock_gate(rcc, rcc_l4.APB1ENR1, TIM6EN))
    channel = dma_l4.Channel(bus, DMA1_BASE, clock_gate(rcc, rcc_l4.AHB1ENR, DMA1EN))
    mux = dma_l4.Mux(bus, DMAMUX1_BASE, clock_gate(rcc, rcc_l4.AHB1ENR, DMAMUX1EN))
    adc = adc_l4.Adc(bus, ADC_BASE, clock_gate(rcc, rcc_l4.AHB2ENR, ADCEN))
    chain = Capture(
        bus, clock, adc, channel, ADC_BASE + adc_l4.DR,
        lambda: rcc.timer_divider, lambda: mux.request == adc_l4.REQUEST,
    )  # fmt: skip
    mux.changed = chain.changed
    bus.map(TIM6_BASE, clock, timer.SIZE)
    bus.map(DMA1_BASE, channel, dma_l4.SIZE)
    bus.map(DMAMUX1_BASE, mux, dma_l4.MUX_SIZE)
    bus.map(ADC_BASE, adc, adc_l4.SIZE)

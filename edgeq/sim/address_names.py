"""Whose registers lie at an address: so that a firmware's author reads a name, not a number.

Memory maps: RM0390, 2.2.2 and RM0368, 2.3 (STM32F4); RM0432, 2.2.2 (STM32L4+); nRF52840 Product
Specification v1.7, 4.2.4; RP2040 datasheet, 2.2; Arm DAI 0386 (MPS2 AN386); DDI 0403, B3.1.
"""

from bisect import bisect_right
from collections.abc import Iterator

Spans = tuple[tuple[int, int, str], ...]  # (begin, end, name), by address


def _blocks(base: int, size: int, names: str) -> Iterator[tuple[int, int, str]]:
    """Blocks of `size` bytes one after the other; "-" is a gap."""
    for index, name in enumerate(names.split()):
        if name != "-":
            yield base + index * size, base + (index + 1) * size, name


def _sorted(*parts: Iterator[tuple[int, int, str]]) -> Spans:
    return tuple(sorted(span for part in parts for span in part))


CORE = _sorted(
    _blocks(0xE0000000, 0x1000, "ITM DWT FPB"),
    _blocks(0xE000E000, 0x1000, "SCS"),
    _blocks(0xE0040000, 0x1000, "TPIU ETM DBGMCU"),
)
_GPIO = "GPIOA GPIOB GPIOC GPIOD GPIOE GPIOF GPIOG GPIOH GPIOI GPIOJ GPIOK"
STM32F4 = _sorted(
    _blocks(
        0x40000000,
        0x400,
        "TIM2 TIM3 TIM4 TIM5 TIM6 TIM7 TIM12 TIM13 TIM14 - RTC WWDG IWDG I2S2ext SPI2 SPI3 "
        "SPDIFRX/I2S3ext USART2 USART3 UART4 UART5 I2C1 I2C2 I2C3 FMPI2C1 CAN1 CAN2 CEC PWR DAC "
        "UART7 UART8",
    ),
    _blocks(
        0x40010000,
        0x400,
        "TIM1 TIM8 - - USART1 USART6 - - ADC - - SDIO SPI1 SPI4 SYSCFG EXTI TIM9 TIM10 TIM11 - "
        "SPI5 SPI6 SAI1 SAI2",
    ),
    _blocks(0x40020000, 0x400, f"{_GPIO} - CRC - RCC FLASH BKPSRAM BKPSRAM BKPSRAM BKPSRAM"),
    _blocks(0x40026000, 0x400, "DMA1 DMA2"),
    _blocks(0x40028000, 0x1400, "ETH"),
    _blocks(0x4002B000, 0xC00, "DMA2D"),
    _blocks(0x40040000, 0x40000, "OTG_HS"),
    _blocks(0x50000000, 0x40000, "OTG_FS"),
    _blocks(0x50050000, 0x400, "DCMI"),
    _blocks(0x50060000, 0x400, "CRYP HASH RNG"),
    _blocks(0xA0000000, 0x1000, "FMC QUADSPI"),
)
STM32L4 = _sorted(
    _blocks(
        0x40000000,
        0x400,
        "TIM2 TIM3 TIM4 TIM5 TIM6 TIM7 - - - - RTC WWDG IWDG TAMP SPI2 SPI3 - USART2 USART3 UART4 "
        "UART5 I2C1 I2C2 I2C3 CRS CAN1 - - PWR DAC1 OPAMP LPTIM1 LPUART1 I2C4 - - - LPTIM2",
    ),
    _blocks(
        0x40010000,
        0x400,
        "SYSCFG EXTI - - - - - FIREWALL - - - TIM1 SPI1 TIM8 USART1 - TIM15 TIM16 TIM17 - - SAI1 "
        "SAI2 - DFSDM1 - LTDC DSI",
    ),
    _blocks(0x40020000, 0x400, "DMA1 DMA2 DMAMUX1 - RCC - - - FLASH - - - CRC - - - TSC"),
    _blocks(0x4002B000, 0xC00, "DMA2D"),
    _blocks(0x4002C000, 0x3000, "GFXMMU"),
    _blocks(0x48000000, 0x400, "GPIOA GPIOB GPIOC GPIOD GPIOE GPIOF GPIOG GPIOH GPIOI"),
    _blocks(0x50000000, 0x40000, "OTG_FS"),
    _blocks(0x50040000, 0x400, "ADC"),
    _blocks(0x50050000, 0x400, "DCMI PSSI"),
    _blocks(0x50060000, 0x400, "AES HASH RNG - - - - OCTOSPIM - SDMMC1 SDMMC2"),
    _blocks(0xA0000000, 0x400, "FMC - - - OCTOSPI1 OCTOSPI2"),
)
NRF52 = _sorted(
    _blocks(0x10000000, 0x1000, "FICR UICR"),
    _blocks(
        0x40000000,
        0x1000,
        "CLOCK/POWER RADIO UART0/UARTE0 SPI0/TWI0 SPI1/TWI1 NFCT GPIOTE SAADC TIMER0 TIMER1 TIMER2 "
        "RTC0 TEMP RNG ECB CCM/AAR WDT RTC1 QDEC COMP/LPCOMP EGU0/SWI0 EGU1/SWI1 EGU2/SWI2 "
        "EGU3/SWI3 EGU4/SWI4 EGU5/SWI5 TIMER3 TIMER4 PWM0 PDM NVMC/ACL PPI MWU PWM1 PWM2 SPI2 RTC2 "
        "I2S FPU USBD UARTE1 QSPI - - - PWM3 - SPIM3",
    ),
    _blocks(0x50000000, 0x1000, "GPIO"),
    _blocks(0x5002A000, 0x2000, "CRYPTOCELL"),
)
RP2040 = _sorted(
    _blocks(0x00000000, 0x4000, "ROM"),
    _blocks(0x14000000, 0x4000, "XIP_CTRL"),
    _blocks(0x18000000, 0x4000, "XIP_SSI"),
    _blocks(
        0x40000000,
        0x4000,
        "SYSINFO SYSCFG CLOCKS RESETS PSM IO_BANK0 IO_QSPI PADS_BANK0 PADS_QSPI XOSC PLL_SYS "
        "PLL_USB BUSCTRL UART0 UART1 SPI0 SPI1 I2C0 I2C1 ADC PWM TIMER WATCHDOG RTC ROSC "
        "VREG_AND_CHIP_RESET - TBMAN",
    ),
    _blocks(0x50000000, 0x100000, "DMA USBCTRL PIO0 PIO1 XIP_AUX"),
    _blocks(0xD0000000, 0x1000, "SIO"),
)
MPS2 = _sorted(
    _blocks(
        0x40000000,
        0x1000,
        "TIMER0 TIMER1 DUALTIMER - UART0 UART1 UART2 UART3 WATCHDOG UART4",
    ),
    _blocks(0x40010000, 0x1000, "GPIO0 GPIO1 GPIO2 GPIO3"),
    _blocks(0x4001F000, 0x1000, "SYSCON SPI0 SPI1 I2C0 I2C1 I2S"),
    _blocks(0x40028000, 0x1000, "FPGAIO - - - - - - SCC"),
    _blocks(0x40200000, 0x100000, "Ethernet"),
    _blocks(0x41000000, 0x200000, "VGA"),
)
MAPS: dict[str, Spans] = {
    "mps2": MPS2,
    "nrf52": NRF52,
    "rp2040": RP2040,
    "stm32f4": STM32F4,
    "stm32l4": STM32L4,
}


def peripheral_at(family: str, address: int) -> str | None:
    """The name of the peripheral of that family whose registers lie at `address`, if any."""
    for spans in (CORE, MAPS.get(family, ())):
        index = bisect_right(spans, address, key=lambda span: span[0]) - 1
        if index >= 0 and address < spans[index][1]:
            return spans[index][2]
    return None


def not_modelled(family: str, address: int) -> str:
    """What to say behind an access that nothing answers: "" where no peripheral is known."""
    name = peripheral_at(family, address)
    return f": {name} is not modelled at this address" if name else ""

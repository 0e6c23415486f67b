"""DMA2's stream 0 on STM32F4 (RM0390, 9.5)."""

from typing import ClassVar

from edgeq.sim.stm32.dma import HalfwordsIn

SIZE = 0x28


class Stream(HalfwordsIn):
    """Channel 0 of it, ADC1's, without the FIFO."""

    NAME = "DMA2"
    FLAGS, CLEAR, CONTROL, COUNT, SOURCE, MEMORY = OFFSETS = (0x00, 0x08, 0x10, 0x14, 0x18, 0x1C)
    HALF, DONE = 1 << 4, 1 << 5
    ENABLED, CIRCULAR, HALFWORDS = 1, 1 << 8, 1 << 10 | 1 << 11 | 1 << 13
    MODELLED = ENABLED | 1 << 3 | 1 << 4 | 1 << 2 | CIRCULAR | HALFWORDS | 3 << 16
    ASKS: ClassVar = {1 << 3: HALF, 1 << 4: DONE}
    LINE = 56  # DMA2_Stream0_IRQn

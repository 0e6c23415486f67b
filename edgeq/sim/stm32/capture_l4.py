"""Sound in on STM32L4+: TIM6 triggers ADC1, DMA1's first channel takes what it makes."""

from fractions import Fraction

from edgeq.sim.bus import Bus
from edgeq.sim.sampling import Sampler, Samples
from edgeq.sim.stm32 import adc_l4, dma_l4, rcc_l4, timer
from edgeq.sim.stm32.clock_gate import clock_gate

TIM6_BASE, DMA1_BASE, DMAMUX1_BASE, ADC_BASE = 0x40001000, 0x40020000, 0x40020800, 0x50040000
TIM6EN, DMA1EN, DMAMUX1EN, ADCEN = 4, 0, 2, 13


class Capture:
    """The chain: it samples while each of its parts is set up for it."""

    def __init__(self, bus: Bus, rcc: rcc_l4.Rcc) -> None:
        self._bus, self._rcc = bus, rcc
        self._timer = timer.Timer(bus, "TIM6", TIM6_BASE, clock_gate(rcc, rcc_l4.APB1ENR1, TIM6EN))
        self._channel = dma_l4.Channel(bus, DMA1_BASE, clock_gate(rcc, rcc_l4.AHB1ENR, DMA1EN))
        self._mux = dma_l4.Mux(bus, DMAMUX1_BASE, clock_gate(rcc, rcc_l4.AHB1ENR, DMAMUX1EN))
        self._adc = adc_l4.Adc(bus, ADC_BASE, clock_gate(rcc, rcc_l4.AHB2ENR, ADCEN))
        self._sampler = Sampler(
            lambda: bus.sound, lambda: bus.core_hz, self._channel.room, self._take
        )

    def attach(self) -> None:
        """Put its parts on the bus."""
        for part in (self._timer, self._channel, self._mux, self._adc):
            part.changed = self._changed
        self._channel.advance = self._sampler.advance
        self._bus.map(TIM6_BASE, self._timer, timer.SIZE)
        self._bus.map(DMA1_BASE, self._channel, dma_l4.SIZE)
        self._bus.map(DMAMUX1_BASE, self._mux, dma_l4.MUX_SIZE)
        self._bus.map(ADC_BASE, self._adc, adc_l4.SIZE)
        self._bus.add_device(self._sampler, dma_l4.LINE)

    def _take(self, samples: Samples) -> None:
        self._channel.take(self._adc.codes(samples))
        if not self._channel.room():  # not circular: it has ended
            self._sampler.stop()

    def _changed(self, now: int) -> None:
        wanted = (
            self._timer.triggers
            and self._adc.converts
            and self._channel.enabled
            and self._channel.source == ADC_BASE + adc_l4.DR
            and self._mux.request == adc_l4.REQUEST
        )
        self._sampler.advance(now)
        if wanted:
            self._sampler.start(now, Fraction(self._timer.ticks * self._rcc.timer_divider))
        else:
            self._sampler.stop()
        self._bus.changed()

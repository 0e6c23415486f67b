"""The clock controller of STM32F4 (RM0390, 6.3): HSI, HSE, the main PLL, prescalers, gates."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block
from edgeq.sim.stm32.flash import Flash
from edgeq.sim.stm32.pwr_f4 import Pwr

CR, PLLCFGR, CFGR, AHB1ENR, APB1ENR, APB2ENR = 0x00, 0x04, 0x08, 0x30, 0x40, 0x44
RESETS = {CR: 0x83, PLLCFGR: 0x24003010, CFGR: 0, AHB1ENR: 0x100000, APB1ENR: 0, APB2ENR: 0}
HSEON, HSERDY, PLLON, PLLRDY = 1 << 16, 1 << 17, 1 << 24, 1 << 25
PLLSRC_HSE = 1 << 22
SW_HSI, SW_HSE, SW_PLL = 0, 1, 2
HSI_HZ = 16_000_000
HSE_HZ = 8_000_000  # the Nucleos' (UM1724, 6.7.1), where [port.config] names no HSE_HZ
NO_OVERDRIVE_HZ = 168_000_000
SIZE = 0x400


class Rcc(Block):
    """`flash` and `pwr` must be ready for the clock that is switched to."""

    def __init__(self, bus: Bus, base: int) -> None:
        super().__init__(bus, "RCC", base, RESETS)
        self._flash: Flash | None = None
        self._pwr: Pwr | None = None
        bus.core_hz = HSI_HZ

    def watch(self, flash: Flash, pwr: Pwr) -> None:
        """The two that a faster clock depends on."""
        self._flash, self._pwr = flash, pwr

    @property
    def pll_hz(self) -> int:
        """What the main PLL gives with its present factors."""
        word = self.words[PLLCFGR]
        divider, factor, post = word & 63, word >> 6 & 511, 2 * (word >> 16 & 3) + 2
        source = self.hse_hz if word & PLLSRC_HSE else HSI_HZ
        return source * factor // max(1, divider) // post

    @property
    def hse_hz(self) -> int:
        """The crystal, or the clock that stands in for it."""
        return self.bus.config.port_config.get("HSE_HZ", HSE_HZ)

    @property
    def core_hz(self) -> int:
        """HCLK; its own prescaler is not modelled."""
        return {SW_PLL: self.pll_hz, SW_HSE: self.hse_hz}.get(self._source(), HSI_HZ)

    def apb_hz(self, second: bool) -> int:
        """The clock of APB1 or, `second`, APB2."""
        code = self.words[CFGR] >> (13 if second else 10) & 7
        return self.core_hz >> (code - 3 if code >= 4 else 0)

    @property
    def timer_divider(self) -> int:
        """Core cycles a tick of the timers on APB1: twice its clock where that is divided."""
        code = self.words[CFGR] >> 10 & 7
        return 1 << (code - 4) if code >= 4 else 1

    def load(self, offset: int) -> int:
        """CR and CFGR show oscillator, PLL and switch as they are."""
        word = super().load(offset)
        if offset == CR:
            return word & ~(PLLRDY | HSERDY) | self._pll_ready() | self._hse_ready()
        if offset == CFGR:
            return word & ~12 | self._source() << 2
        return word

    def store(self, offset: int, value: int) -> None:
        """A clock too fast for the flash is refused."""
        super().store(offset, value)
        if offset == CFGR and value & 0xF0:
            self.bus.refuse("it sets the AHB prescaler, which is not modelled")
        if offset in (CR, CFGR):  # a switch waits for its source
            self._switch()

    def _pll_ready(self) -> int:
        fed = not self.words[PLLCFGR] & PLLSRC_HSE or self._hse_ready()
        return self.flag("PLLRDY", PLLRDY) if fed and self.words[CR] & PLLON else 0

    def _hse_ready(self) -> int:
        return self.flag("HSERDY", HSERDY) if self.words[CR] & HSEON else 0

    def _source(self) -> int:
        wanted = self.words[CFGR] & 3
        ready = {SW_PLL: self._pll_ready(), SW_HSE: self._hse_ready()}.get(wanted, 0)
        return wanted if ready and self.flag("SWS", 1) else SW_HSI

    def _switch(self) -> None:
        self.bus.core_hz = self.core_hz
        if self._source() != SW_PLL or self._flash is None or self._pwr is None:
            return
        needed = self.bus.config.flash_wait_states
        if self._flash.wait_states < needed:
            self.bus.refuse(
                f"it runs at {self.core_hz} Hz with {self._flash.wait_states} flash wait states; "
                f"{needed} are needed"
            )
        if self.core_hz > NO_OVERDRIVE_HZ and not self._pwr.overdrive:
            self.bus.refuse(f"it runs at {self.core_hz} Hz without the regulator's over-drive")

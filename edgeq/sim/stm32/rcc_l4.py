"""The clock controller of STM32L4+ (RM0432, 6.4): MSI at reset, HSI16, the main PLL, gates."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block
from edgeq.sim.stm32.flash import Flash
from edgeq.sim.stm32.pwr_l4 import Pwr

CR, ICSCR, CFGR, PLLCFGR = 0x00, 0x04, 0x08, 0x0C
AHB1ENR, AHB2ENR, APB1ENR1, APB1ENR2, APB2ENR, CCIPR = 0x48, 0x4C, 0x58, 0x5C, 0x60, 0x88
RESETS = {CR: 0x63, ICSCR: 0, CFGR: 0, PLLCFGR: 0x1000, AHB1ENR: 0x100} | dict.fromkeys(
    (AHB2ENR, APB1ENR1, APB1ENR2, APB2ENR, CCIPR), 0
)
MSIRGSEL, MSI_4_MHZ = 1 << 3, 6  # CR[7:4]
HSION, HSIRDY = 1 << 8, 1 << 10
HSEON, PLLON, PLLRDY = 1 << 16, 1 << 24, 1 << 25
SW_MSI, SW_HSI, SW_PLL = 0, 1, 3
PLLSRC_HSI = 2
PLLREN = 1 << 24
MSI_HZ, HSI_HZ = 4_000_000, 16_000_000
NO_BOOST_HZ = 80_000_000
LPUART1_HSI = 2  # CCIPR[11:10]
SIZE = 0x400


class Rcc(Block):
    """`flash` and `pwr` must be ready for the clock that is switched to."""

    def __init__(self, bus: Bus, base: int, flash: Flash) -> None:
        super().__init__(bus, "RCC", base, RESETS)
        self._flash = flash
        self._pwr: Pwr | None = None
        bus.core_hz = MSI_HZ

    def watch(self, pwr: Pwr) -> None:
        """What a clock beyond 80 MHz depends on."""
        self._pwr = pwr

    @property
    def pll_hz(self) -> int:
        """What the main PLL gives on output R with its present factors."""
        word = self.words[PLLCFGR]
        divider, factor, post = (word >> 4 & 15) + 1, word >> 8 & 127, 2 * (word >> 25 & 3) + 2
        return HSI_HZ // divider * factor // post

    @property
    def core_hz(self) -> int:
        """HCLK, with its prescaler."""
        source = {SW_PLL: self.pll_hz, SW_HSI: HSI_HZ, SW_MSI: MSI_HZ}[self._source()]
        code = self.words[CFGR] >> 4 & 15
        shift = (code - 7 if code < 12 else code - 6) if code >= 8 else 0
        return source >> shift

    @property
    def lpuart_hz(self) -> int:
        """The kernel clock of LPUART1: HSI16 or, by default, APB1."""
        if self.words[CCIPR] >> 10 & 3 == LPUART1_HSI:
            return HSI_HZ
        code = self.words[CFGR] >> 8 & 7
        return self.core_hz >> (code - 3 if code >= 4 else 0)

    @property
    def timer_divider(self) -> int:
        """Core cycles a tick of the timers on APB1: twice its clock where that is divided."""
        code = self.words[CFGR] >> 8 & 7
        return 1 << (code - 4) if code >= 4 else 1

    def load(self, offset: int) -> int:
        """CR and CFGR show oscillator, PLL and switch as they are."""
        word = super().load(offset)
        if offset == CR:
            return word & ~(HSIRDY | PLLRDY) | self._hsi_ready() | self._pll_ready()
        if offset == CFGR:
            return word & ~12 | self._source() << 2
        return word

    def store(self, offset: int, value: int) -> None:
        """Only MSI and HSI16 are there; a clock too fast for flash or regulator is refused."""
        super().store(offset, value)
        if offset == CR and value & HSEON:
            self.bus.refuse("it starts the HSE crystal, which is not modelled: use HSI16")
        if offset == CR and value & MSIRGSEL and value >> 4 & 15 != MSI_4_MHZ:
            self.bus.refuse("it changes the range of MSI, of which only 4 MHz is modelled")
        if offset == CR and value & PLLON and self.words[PLLCFGR] & 3 != PLLSRC_HSI:
            self.bus.refuse(
                "it feeds the PLL from another source than HSI16, which is not modelled"
            )
        if offset == CFGR:
            self._switch()

    def _hsi_ready(self) -> int:
        return self.flag("HSIRDY", HSIRDY) if self.words[CR] & HSION else 0

    def _pll_ready(self) -> int:
        word = self.words[PLLCFGR]
        fed = word & 3 == PLLSRC_HSI and self._hsi_ready() and word & PLLREN
        return self.flag("PLLRDY", PLLRDY) if fed and self.words[CR] & PLLON else 0

    def _source(self) -> int:
        wanted = self.words[CFGR] & 3
        ready = {SW_PLL: self._pll_ready(), SW_HSI: self._hsi_ready()}.get(wanted, 0)
        return wanted if ready and self.flag("SWS", 1) else SW_MSI

    def _switch(self) -> None:
        self.bus.core_hz = self.core_hz
        if self._source() != SW_PLL:
            return
        needed = self.bus.config.flash_wait_states
        if self._flash.wait_states < needed:
            self.bus.refuse(
                f"it runs at {self.core_hz} Hz with {self._flash.wait_states} flash wait states; "
                f"{needed} are needed"
            )
        if self.core_hz > NO_BOOST_HZ and not (self._pwr and self._pwr.boost):
            self.bus.refuse(f"it runs at {self.core_hz} Hz without the regulator's boost mode")

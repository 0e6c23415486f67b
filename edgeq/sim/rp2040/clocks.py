"""CLOCKS of RP2040 (datasheet, 2.15): the reference, system and peripheral clocks."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block
from edgeq.sim.rp2040.pll import Pll
from edgeq.sim.rp2040.xosc import Xosc

REF_CTRL, REF_DIV, REF_SELECTED = 0x30, 0x34, 0x38
SYS_CTRL, SYS_DIV, SYS_SELECTED = 0x3C, 0x40, 0x44
PERI_CTRL, PERI_SELECTED = 0x48, 0x50
OFFSETS = (
    REF_CTRL, REF_DIV, REF_SELECTED, SYS_CTRL, SYS_DIV, SYS_SELECTED, PERI_CTRL, PERI_SELECTED,
)  # fmt: skip
REF_ROSC, REF_XOSC = 0, 2
SYS_REF, SYS_AUX, AUX_PLL_SYS = 0, 1, 0
PERI_ENABLE = 1 << 11
ROSC_HZ = 6_500_000  # the ring oscillator as the ROM leaves it: 1.8 to 12 MHz from part to part
WHOLE = 1 << 8  # a divider of 1


class Clocks(Block):
    """The glitchless switches; one whose new source does not run stays where it is."""

    def __init__(self, bus: Bus, base: int, xosc: Xosc, pll: Pll) -> None:
        super().__init__(bus, "CLOCKS", base, dict.fromkeys(OFFSETS, 0))
        self.words[REF_DIV] = self.words[SYS_DIV] = WHOLE
        self._xosc, self._pll = xosc, pll
        self._ref, self._sys = REF_ROSC, SYS_REF
        bus.core_hz = ROSC_HZ

    @property
    def ref_hz(self) -> int:
        """The reference clock, which the timer's tick is made of."""
        return self._xosc.hz if self._ref == REF_XOSC else ROSC_HZ

    @property
    def sys_hz(self) -> int:
        """The system clock, which the core runs at."""
        return self._pll.hz if self._sys == SYS_AUX else self.ref_hz

    @property
    def peri_hz(self) -> int:
        """The UART's clock: the system clock, 0 while it is off."""
        return self.sys_hz if self.words[PERI_CTRL] & PERI_ENABLE else 0

    def load(self, offset: int) -> int:
        """The SELECTED registers show one bit for the source in use."""
        if offset == REF_SELECTED:
            return self.flag("SELECTED", 1 << self._ref)
        if offset == SYS_SELECTED:
            return self.flag("SELECTED", 1 << self._sys)
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Dividers and other sources are refused: nothing here would run at the right speed."""
        super().store(offset, value)
        if offset in (REF_DIV, SYS_DIV) and value != WHOLE:
            self.bus.refuse("it divides a clock, which is not modelled")
        elif offset == REF_CTRL:
            self._switch_ref(value & 3)
        elif offset == SYS_CTRL:
            self._switch_sys(value & 1, value >> 5 & 7)
        elif offset == PERI_CTRL and value >> 5 & 7:
            self.bus.refuse("it feeds clk_peri from another source than clk_sys: not modelled")
        self.bus.core_hz = self.sys_hz

    def _switch_ref(self, source: int) -> None:
        if source not in (REF_ROSC, REF_XOSC):
            self.bus.refuse(f"it feeds clk_ref from source {source}, which is not modelled")
        elif source == REF_ROSC or self._xosc.hz:
            self._ref = source

    def _switch_sys(self, source: int, aux: int) -> None:
        if source == SYS_AUX and aux != AUX_PLL_SYS:
            self.bus.refuse(f"it feeds clk_sys from auxiliary source {aux}, which is not modelled")
        elif source == SYS_REF or self._pll.hz:
            self._sys = source

"""PDM of nRF52833 and nRF52840: sound by EasyDMA (Product Specification v1.7, 6.19)."""

from collections.abc import Callable
from fractions import Fraction

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block
from edgeq.sim.sampling import Sampler, Samples

START, STOP = 0x000, 0x004
STARTED, STOPPED, END = 0x100, 0x104, 0x108
INTEN, INTENSET, INTENCLR = 0x300, 0x304, 0x308
ENABLE, PDMCLKCTRL, MODE, GAINL, GAINR, RATIO = 0x500, 0x504, 0x508, 0x518, 0x51C, 0x520
PSEL_CLK, PSEL_DIN, PTR, MAXCNT = 0x540, 0x544, 0x560, 0x564
EVENTS = {STARTED: 1, STOPPED: 2, END: 4}  # offset: its bit of INTEN
UNCONNECTED = 0xFFFFFFFF
DEFAULT_GAIN = 0x28  # 0 dB
RATIOS = {0: 64, 1: 80}
# PDMCLKCTRL: Hz of the clocks that come out even
CLOCKS = {0x08000000: 1_000_000, 0x0A000000: 1_280_000}
LINE = 29


class Pdm(Block):
    """One microphone. `drives(pin)`: the pin is an output."""

    def __init__(self, bus: Bus, base: int, drives: Callable[[int], bool]) -> None:
        offsets = (START, STOP, *EVENTS, INTEN, INTENSET, INTENCLR, ENABLE, MODE, RATIO, PTR)
        resets = dict.fromkeys((*offsets, MAXCNT), 0) | {
            PDMCLKCTRL: 0x08400000, GAINL: DEFAULT_GAIN, GAINR: DEFAULT_GAIN,
            PSEL_CLK: UNCONNECTED, PSEL_DIN: UNCONNECTED,
        }  # fmt: skip
        super().__init__(bus, "PDM", base, resets)
        self._drives = drives
        self._pointer = self._count = self._filled = 0  # latched at a buffer's start
        self._sampler = Sampler(lambda: bus.sound, lambda: bus.core_hz, self._room, self._take)
        bus.add_device(self._sampler, LINE)

    def load(self, offset: int) -> int:
        """Events as they are now; the set and clear registers read as what they act on."""
        self._sampler.advance(self.bus.now(True, self.base + offset))
        return super().load(INTEN if offset in (INTENSET, INTENCLR) else offset)

    def store(self, offset: int, value: int) -> None:
        """A task acts on 1, an event is cleared by 0."""
        now = self.bus.now(False, self.base + offset)
        self._sampler.advance(now)
        if offset in (START, STOP):
            if value & 1:
                self._begin(now) if offset == START else self._end()
        elif offset == INTENSET:
            self.words[INTEN] |= value
        elif offset == INTENCLR:
            self.words[INTEN] &= ~value
        else:
            self._keep(offset, value)
        self._ask()
        self.bus.changed()

    def _keep(self, offset: int, value: int) -> None:
        if offset == MODE and value != 1:
            self.bus.refuse("it asks PDM for stereo or the rising edge, which are not modelled")
        if offset in (GAINL, GAINR) and value != DEFAULT_GAIN:
            self.bus.refuse("it asks PDM for another gain than 0 dB, which is not modelled")
        super().store(offset, value)

    def _begin(self, now: int) -> None:
        hz = CLOCKS.get(self.words[PDMCLKCTRL])
        if hz is None or self.words[RATIO] not in RATIOS:
            self.bus.refuse("it starts PDM at a clock that is not modelled: 1000K and 1280K are")
        elif not self.words[ENABLE] & 1 or not self._drives(self.words[PSEL_CLK]):
            self.bus.refuse("it starts PDM before it is enabled, or without a clock pin that is an "
                            "output")  # fmt: skip
        elif not self.words[MAXCNT]:
            self.bus.refuse("it starts PDM with a buffer of no samples")
        else:
            self._latch()
            cycles = Fraction(self.bus.core_hz * RATIOS[self.words[RATIO]], hz)
            self._sampler.start(now, cycles)

    def _end(self) -> None:
        self._sampler.stop()
        self.words[STOPPED] = self.flag("STOPPED", 1)

    def _latch(self) -> None:
        self._pointer, self._count, self._filled = self.words[PTR], self.words[MAXCNT], 0
        self.words[STARTED] = 1

    def _room(self) -> int:
        return self._count - self._filled

    def _take(self, samples: Samples) -> None:
        self.bus.write(self._pointer + 2 * self._filled, samples.astype("<i2").tobytes())
        self._filled += len(samples)
        if not self._room():
            self.words[END] = 1
            self._latch()
            self._ask()

    def _ask(self) -> None:
        raised = sum(bit for offset, bit in EVENTS.items() if self.words[offset])
        self.bus.interrupt(LINE, bool(raised & self.words[INTEN]))

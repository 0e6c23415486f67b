"""Core peripherals that tell time: DWT CYCCNT and the SysTick counter, from the modelled clock.

Armv7-M Architecture Reference Manual (DDI 0403): B3.2 system control, B3.3 SysTick, C1.8 DWT.
A core without a cycle counter has no DWT registers here: they read as zero.
Exceptions are not modelled: a firmware that asks for one is refused by name.
"""

from collections.abc import Callable

from edgeq.sim.cores import CoreModel

CYCCNT_ENABLE = 1
TRACE_ENABLE = 1 << 24  # DEMCR.TRCENA
RESET_REQUEST = 1 << 2
WORD = 0xFFFFFFFF

DWT_BASE, DWT_CTRL, DWT_CYCCNT = 0xE0001000, 0x000, 0x004
SCS_BASE = 0xE000E000
SYST_CSR, SYST_RVR, SYST_CVR = 0x010, 0x014, 0x018
NVIC_ENABLE_FIRST, NVIC_ENABLE_LAST = 0x100, 0x13C
CPUID, AIRCR, CPACR, DEMCR = 0xD00, 0xD0C, 0xD88, 0xDFC


class CorePeripherals:
    """`now(is_load, address)`: whole cycles just before the running access to `address`.

    `refuse(reason)` ends the run with a report.
    """

    def __init__(
        self,
        model: CoreModel,
        now: Callable[[bool, int], int],
        refuse: Callable[[str], None],
        exits: Callable[[], None],
    ) -> None:
        self._model = model
        self._now, self._refuse, self._exits = now, refuse, exits
        self._words: dict[int, int] = {}  # plain registers of the system control space
        self._dwt_ctrl = 0x40000000  # four comparators, as the M4 reports
        self._count, self._since = 0, 0  # CYCCNT's value and when it had it
        self._systick_zero = 0  # when the SysTick counter was cleared

    @property
    def fpu_enabled(self) -> bool:
        """CPACR gives full access to the floating-point coprocessors."""
        return self._words.get(CPACR, 0) >> 20 & 0xF == 0xF

    def _counting(self) -> bool:
        traced = self._words.get(DEMCR, 0) & TRACE_ENABLE
        return bool(traced and self._dwt_ctrl & CYCCNT_ENABLE)

    def _cyccnt(self, now: int) -> int:
        return (self._count + (now - self._since if self._counting() else 0)) & WORD

    def read_dwt(self, offset: int) -> int:
        """A DWT register."""
        if not self._model.cycle_counter:
            return 0
        if offset == DWT_CYCCNT:
            return self._cyccnt(self._now(True, DWT_BASE + DWT_CYCCNT))
        return self._dwt_ctrl if offset == DWT_CTRL else 0

    def write_dwt(self, offset: int, value: int) -> None:
        """A DWT register; writing CYCCNT sets the counter."""
        now = self._now(False, DWT_BASE + offset)
        if offset == DWT_CYCCNT:
            self._count, self._since = value & WORD, now
        elif offset == DWT_CTRL:
            self._count, self._since = self._cyccnt(now), now
            self._dwt_ctrl = 0x40000000 | value & 0xFFF

    def read_scs(self, offset: int) -> int:
        """A register of the system control space; what was written where nothing else is known."""
        if offset == CPUID:
            return self._model.cpuid
        if offset == SYST_CVR:
            return self._systick(self._now(True, SCS_BASE + offset))
        if offset == SYST_CSR:
            return self._systick_status(self._now(True, SCS_BASE + offset))
        return self._words.get(offset, 0)

    def write_scs(self, offset: int, value: int) -> None:
        """A register of the system control space."""
        now = self._now(False, SCS_BASE + offset)
        if offset == SYST_CVR or (offset == SYST_CSR and not self._words.get(SYST_CSR, 0) & 1):
            self._systick_zero = now
        if offset == DEMCR:
            self._count, self._since = self._cyccnt(now), now
        if offset == SYST_CSR and value & 3 == 3:
            self._refuse("it enables the SysTick interrupt; exceptions are not modelled: poll")
        elif NVIC_ENABLE_FIRST <= offset <= NVIC_ENABLE_LAST and value:
            self._refuse("it enables an interrupt in the NVIC; exceptions are not modelled: poll")
        elif offset == AIRCR and value & RESET_REQUEST:
            self._exits()
        self._words[offset] = value & WORD

    def _systick_elapsed(self, now: int) -> int:
        return now - self._systick_zero if self._words.get(SYST_CSR, 0) & 1 else 0

    def _systick(self, now: int) -> int:
        reload = self._words.get(SYST_RVR, 0) & 0xFFFFFF
        elapsed = self._systick_elapsed(now)
        return (reload - (elapsed - 1) % (reload + 1)) & 0xFFFFFF if elapsed else 0

    def _systick_status(self, now: int) -> int:
        reload = self._words.get(SYST_RVR, 0) & 0xFFFFFF
        wrapped = self._systick_elapsed(now) > reload
        if wrapped:  # COUNTFLAG is cleared by the read
            self._systick_zero += self._systick_elapsed(now) // (reload + 1) * (reload + 1)
        return self._words.get(SYST_CSR, 0) | (1 << 16 if wrapped else 0)

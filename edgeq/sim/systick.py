"""SysTick: counts down at the core clock; may raise an exception at each zero.

Armv7-M Architecture Reference Manual (DDI 0403), B3.3.
"""

ENABLE, TICKINT, COUNTFLAG = 1, 2, 1 << 16
CSR, RVR, CVR, CALIB = 0x00, 0x04, 0x08, 0x0C
MASK = 0xFFFFFF


class SysTick:
    """Its registers by offset from 0xE000E010. `now`: whole cycles at the access."""

    def __init__(self) -> None:
        self._csr = self._reload = 0
        self._zero = 0  # when the counter was cleared, moved on by whole periods
        self._raised = 0  # zeros since then for which an exception was raised

    def read(self, offset: int, now: int) -> int:
        """A register as the firmware reads it; reading CSR clears COUNTFLAG."""
        if offset == CVR:
            elapsed = self._elapsed(now)
            return (self._reload - (elapsed - 1) % (self._reload + 1)) & MASK if elapsed else 0
        if offset == CSR:
            return self._csr | (COUNTFLAG if self._wrapped(now) else 0)
        return self._reload if offset == RVR else 0

    def write(self, offset: int, value: int, now: int) -> None:
        """A register as the firmware writes it; any write to CVR clears the counter."""
        if offset == CVR or (offset == CSR and not self._csr & ENABLE):
            self._zero, self._raised = now, 0
        if offset == CSR:
            self._csr = value & 7
        elif offset == RVR:
            self._reload = value & MASK

    def due(self) -> int | None:
        """Cycles at which it next raises its exception; None if it never will."""
        if self._csr & (ENABLE | TICKINT) != ENABLE | TICKINT or not self._reload:
            return None
        return self._zero + (self._raised + 1) * (self._reload + 1)

    def raised(self, now: int) -> None:
        """Its exception was taken note of, with all zeros up to `now`."""
        self._raised = self._elapsed(now) // (self._reload + 1)

    def _elapsed(self, now: int) -> int:
        return now - self._zero if self._csr & ENABLE else 0

    def _wrapped(self, now: int) -> bool:
        periods = self._elapsed(now) // (self._reload + 1)
        self._zero += periods * (self._reload + 1)
        self._raised -= periods
        return periods > 0

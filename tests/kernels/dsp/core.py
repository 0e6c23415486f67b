"""A virtual Cortex-M4 that calls kernels; what lies behind their operands is guarded."""

from pathlib import Path

import numpy as np

from edgeq.board import load_board
from tests.kernels.samples import Array

GUARD = b"\x5a" * 16
ORIGIN = 0x20000  # into RAM: the linked kernels have their own operands at its beginning


class Core:
    """The kernels of one compiler in the flash of a virtual board."""

    def __init__(self, elf: Path) -> None:
        from edgeq.sim import Machine  # here: its capstone cannot load in a run under ASan

        self.machine = Machine(load_board("virtual_m4")).load(elf)
        self._next = self._origin = self.machine.config.ram_origin + ORIGIN

    def put(self, data: bytes, off: int = 0) -> int:
        """Address of `data` between guards, `off` bytes behind a multiple of eight."""
        at = self._next + len(GUARD) + off
        self.machine.write(at - len(GUARD), GUARD + data + GUARD)
        self._next = (at + len(data) + len(GUARD) + 7) & ~7
        return at

    def kept(self) -> list[int]:
        """r4 to r11, which a function must give back as they were."""
        return [self.machine._emulator.register(f"r{i}") for i in range(4, 12)]

    def mark_kept(self) -> None:
        """Patterns into r4 to r11; into r9 the table of addresses where a build has one."""
        sections = self.machine.image.sections if self.machine.image else ()
        tables = [part.address for part in sections if part.name == ".got"]
        for i in range(4, 12):
            value = tables[0] if i == 9 and tables else 0x5A000000 + i
            self.machine._emulator.set_register(f"r{i}", value)

    def rewind(self) -> None:
        """Operands go to the beginning again."""
        self._next = self._origin

    def values(self, values: Array, dtype: type) -> int:
        return self.put(np.ravel(values).astype(dtype).tobytes())

    def words(self, *values: int) -> int:
        """A struct of 32-bit fields."""
        return self.put((np.array(values, np.int64) & 0xFFFFFFFF).astype(np.uint32).tobytes())

    def call(
        self, function: str, params: int, x: int, y: int, y_size: int, scratch_bytes: int
    ) -> tuple[Array, int]:
        """(the y_size bytes at y, half cycles) of function(params, x, y, scratch)."""
        scratch = self.put(b"\x5a" * scratch_bytes)
        before = self.machine.clock.half
        self.machine.call(function, (params, x, y, scratch))
        taken = self.machine.clock.half - before
        for at, size in ((y, y_size), (scratch, scratch_bytes)):
            assert self.machine.read(at - len(GUARD), len(GUARD)) == GUARD
            assert self.machine.read(at + size, len(GUARD)) == GUARD
        self.rewind()
        return np.frombuffer(self.machine.read(y, y_size), np.int8), taken

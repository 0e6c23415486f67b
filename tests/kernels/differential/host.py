"""Runs differential cases on the host, in a shared library of kernels."""

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.kernels.differential.case import Call, Case, Difference, Memory

FILL = 0x5A
LOOKED_AT = 16  # bytes on either side of an operand
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass
class Fenced:
    """Operands in pages of their own, each as near as its alignment lets it to one that faults."""

    blocks: list[tuple[mmap.mmap, int, int]] = field(default_factory=list)

    def put(self, data: bytes, off: int) -> int:
        """Address of a copy of `data`, `off` bytes behind a multiple of eight."""
        size = len(data) + LOOKED_AT + 8
        pages = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        block = mmap.mmap(-1, pages + mmap.PAGESIZE)
        at = (pages - len(data) - off) // 8 * 8 + off
        first = at - LOOKED_AT
        block[first:pages] = bytes([FILL]) * (pages - first)
        block[at : at + len(data)] = data
        base = ctypes.addressof(ctypes.c_char.from_buffer(block))
        if _LIBC.mprotect(ctypes.c_void_p(base + pages), mmap.PAGESIZE, 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
        self.blocks.append((block, at, len(data)))
        return base + at

    def check(self, label: str) -> None:
        """Raises Difference if the bytes beside an operand have changed."""
        for block, at, size in self.blocks:
            end = len(block) - mmap.PAGESIZE
            beside = block[at - LOOKED_AT : at] + block[at + size : end]
            if beside.strip(bytes([FILL])):
                raise Difference(f"{label}: it wrote beside an operand of {size} bytes")


@contextmanager
def fenced() -> Iterator[Fenced]:
    """Memory for one case."""
    memory = Fenced()
    yield memory
    for block, *_ in memory.blocks:
        block.close()


class Host:
    """A read or a write behind an operand ends the process; a write before it is a Difference."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.kernels = library

    def run(self, case: Case) -> None:
        """Raises Difference."""
        with fenced() as memory:
            placed = Memory(memory.put, ctypes.sizeof(ctypes.c_void_p), at_the_end=True)
            for call in case.calls:
                self._call(call, placed, case.label)
            placed.check(ctypes.string_at, case.label)
            memory.check(case.label)

    def _call(self, call: Call, memory: Memory, label: str) -> None:
        function = getattr(self.kernels, call.function)
        function.restype = ctypes.c_int32 if call.returns is not None else None
        given = [
            ctypes.c_int32(a) if isinstance(a, int) else ctypes.c_void_p(memory.argument(a))
            for a in call.arguments
        ]
        returned = function(*given)
        if call.returns is not None and returned != call.returns:
            raise Difference(f"{label}: {returned} returned instead of {call.returns}")

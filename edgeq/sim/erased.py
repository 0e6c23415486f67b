"""Erased flash for the emulator: pages of ones that are shared until somebody writes to them.

A bare core has room for any model: to fill 256 MB for each machine takes longer than its run.
"""

import ctypes
import mmap
import tempfile
from collections.abc import Iterator
from functools import cache

CHUNK = 4 << 20


@cache
def _ones() -> int:
    """The descriptor of a file that no name leads to."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the process
    file.write(b"\xff" * CHUNK)
    file.flush()
    _alive.append(file)
    return file.fileno()


_alive: list[object] = []


def erased(size: int) -> Iterator[tuple[int, int, mmap.mmap, int]]:
    """Private copies of ones that make up `size` bytes, whole pages: (offset, size, the memory,
    which its user keeps, its address).
    """
    for offset in range(0, size, CHUNK):
        count = min(CHUNK, size - offset)
        memory = mmap.mmap(_ones(), count, access=mmap.ACCESS_COPY)
        yield offset, count, memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))

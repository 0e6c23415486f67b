"""The state of a trace: which registers, flags and bytes of RAM derive from the input."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

Site = tuple[int, str]  # address of an instruction, what it does


class Taint:
    """`registers`: a mask of edgeq.constant_time.operands. Addresses outside RAM are never marked.

    `objects`: (address, bytes, name) of the ELF, sorted: where a store may go whose address
    derives from the input. Such a store is taken to stay in its object, all of which is marked.
    """

    def __init__(self, ram: int, size: int, objects: Sequence[tuple[int, int, str]]) -> None:
        self.registers = 0
        self.found: Counter[Site] = Counter()
        self._ram, self._size = ram, size
        self._marks = bytearray(size)
        self._objects = objects
        self._starts = [address for address, _, _ in objects]

    def mark(self, address: int, size: int, marked: bool = True) -> None:
        """Bytes of RAM derive from the input, or no longer do."""
        at = address - self._ram
        if 0 <= at < self._size:
            self._marks[at : at + size] = (b"\x01" if marked else b"\x00") * size

    def marked(self, address: int, size: int) -> bool:
        """Whether any of these bytes derives from the input."""
        at = address - self._ram
        return 0 <= at < self._size and 1 in self._marks[at : at + size]

    def mark_object(self, address: int) -> bool:
        """Marks all of the object that holds `address`; False when there is none."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return False
        start, size, _ = self._objects[index]
        if address >= start + size:
            return False
        self.mark(start, size)
        return True

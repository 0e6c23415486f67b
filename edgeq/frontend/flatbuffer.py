"""Reads flatbuffers that nobody vouches for: every offset is held against the file before its use.

The format (flatbuffers.dev, "Internals"): a table starts with the distance back to its vtable,
which holds a 16-bit offset for each field, 0 where the field has its default.
"""

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.errors import ModelFile

Array = npt.NDArray[Any]
MOST_TABLES = 100_000  # that may be read: tables can be shared, so a small file can name many
MOST_TIMES = 8  # so often may the file's bytes be read, for the same reason


@dataclass
class Flatbuffer:
    """The bytes, and how many tables and bytes of vectors were read of them."""

    data: bytes
    tables: int = field(default=0)
    read: int = field(default=0)

    def root(self) -> "Table":
        """The root table."""
        return self.table_at(self.offset(0))

    def offset(self, at: int) -> int:
        """Where the unsigned offset stored at `at` leads."""
        return at + int(self.number("<I", at))

    def number(self, form: str, at: int) -> Any:
        """A number of `struct` format `form`. Raises ModelFile outside the file."""
        self._inside(at, struct.calcsize(form))
        return struct.unpack_from(form, self.data, at)[0]

    def vector(self, at: int, dtype: str) -> Array:
        """The vector at `at`, copied."""
        count, kind = int(self.number("<I", at)), np.dtype(dtype)
        self._inside(at + 4, count * kind.itemsize)
        self.read += count * kind.itemsize
        if self.read > MOST_TIMES * len(self.data):
            raise ModelFile("it names the same bytes again and again")
        return np.frombuffer(self.data, kind, count, at + 4).copy()

    def table_at(self, at: int) -> "Table":
        """The table at `at`, its vtable checked."""
        self.tables += 1
        if self.tables > MOST_TABLES:
            raise ModelFile(f"it names more than {MOST_TABLES:,} tables")
        vtable = at - int(self.number("<i", at))
        size, length = int(self.number("<H", vtable)), int(self.number("<H", vtable + 2))
        if size < 4 or size % 2 or length < 4:
            raise ModelFile("a table of it has no sound vtable")
        self._inside(vtable, size)
        self._inside(at, length)
        return Table(self, at, vtable, size, length)

    def _inside(self, at: int, count: int) -> None:
        if at < 0 or at + count > len(self.data):
            raise ModelFile(f"it points outside itself: byte {at + count} of {len(self.data)}")


@dataclass(frozen=True)
class Table:
    """One table. Fields are named by their place in the schema."""

    file: Flatbuffer
    at: int
    vtable: int
    size: int
    length: int

    def _place(self, field: int) -> int | None:
        """Where the field's value stands; None where it has its default."""
        entry = 4 + 2 * field
        if entry + 2 > self.size:
            return None
        inside = int(self.file.number("<H", self.vtable + entry))
        if inside >= self.length:
            raise ModelFile("a field of it lies outside its table")
        return self.at + inside if inside else None

    def number(self, field: int, form: str, default: Any = 0) -> Any:
        """A scalar; `form` is struct's letter."""
        place = self._place(field)
        return default if place is None else self.file.number("<" + form, place)

    def table(self, field: int) -> "Table | None":
        place = self._place(field)
        return None if place is None else self.file.table_at(self.file.offset(place))

    def numbers(self, field: int, dtype: str) -> Array | None:
        """A vector of numbers; None where the field is absent."""
        place = self._place(field)
        return None if place is None else self.file.vector(self.file.offset(place), dtype)

    def text(self, field: int) -> str:
        """A string, "" where it is absent; bytes that are no UTF-8 are replaced."""
        raw = self.numbers(field, "u1")
        return "" if raw is None else raw.tobytes().decode(errors="replace")

    def tables(self, field: int) -> list["Table"]:
        """A vector of tables, [] where it is absent."""
        place = self._place(field)
        if place is None:
            return []
        start = self.file.offset(place)
        offsets = self.file.vector(start, "<u4")
        if len(offsets) > MOST_TABLES:
            raise ModelFile(f"it names more than {MOST_TABLES:,} tables")
        return [
            self.file.table_at(start + 4 + 4 * i + int(n)) for i, n in enumerate(offsets.tolist())
        ]

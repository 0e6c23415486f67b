"""A call of a kernel as data: what it is given, and what the reference says it must answer.

The same case runs on the host (host.py) and on a virtual core (core.py): only addresses differ.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from tests.kernels.samples import Array

UNTOUCHED = b"\x5a"


@dataclass(frozen=True, eq=False)
class Const:
    """A pointer to `values`; `off` bytes behind a multiple of eight."""

    values: Array
    off: int = 0


@dataclass(frozen=True, eq=False)
class Out:
    """A pointer to memory that must hold `wanted` in the end; before, `initial` or 0x5A bytes."""

    wanted: Array
    initial: Array | None = None
    off: int = 0


@dataclass(frozen=True, eq=False)
class Scratch:
    """A pointer to memory that nobody reads afterwards.

    spare: bytes at its end that may stay as they were; None: any number of them.
    """

    bytes: int
    spare: int | None = None


@dataclass(frozen=True)
class Long:
    """An int64 field."""

    value: int


@dataclass(frozen=True)
class Result:
    """A field that the call writes: an int32, or an int64 of 8 `bytes`."""

    value: int
    bytes: int = 4


@dataclass(frozen=True, eq=False)
class Address:
    """A pointer that the call writes: `ahead` bytes behind `of`; a null pointer for None."""

    of: Const | Out | None
    ahead: int = 0


@dataclass(frozen=True, eq=False)
class Struct:
    """Fields in the order of C: an int is an int32, None a null pointer, a Struct stands inline."""

    fields: tuple["Field", ...]


@dataclass(frozen=True, eq=False)
class Pointer:
    """A pointer to structs, one behind the other."""

    structs: tuple[Struct, ...]


Field: TypeAlias = "int | Const | Out | Scratch | Long | Result | Address | Struct | Pointer | None"


@dataclass(frozen=True)
class Call:
    """function(*arguments); `returns`: what it must return, None if nothing."""

    function: str
    arguments: tuple[int | Const | Out | Scratch | Pointer, ...]
    returns: int | None = None


@dataclass(frozen=True)
class Case:
    """Calls in order; the same object among their arguments is the same memory.

    slower: a case that takes more cycles on a core, where the kernel has two ways.
    """

    label: str
    calls: tuple[Call, ...]
    slower: "Case | None" = None


class Difference(AssertionError):
    """A kernel did not answer as the reference, or wrote where it may not."""


@dataclass
class Memory:
    """Places operands. put(bytes, off) gives the address of a copy."""

    put: Callable[[bytes, int], int]
    pointer_bytes: int
    at_the_end: bool = False  # operands end where a multiple of eight does, `off` or not
    outs: list[tuple[int, Out]] = field(default_factory=list)
    scratches: list[tuple[int, Scratch]] = field(default_factory=list)
    _placed: dict[int, int] = field(default_factory=dict)
    _results: list[tuple[int, Out]] = field(default_factory=list)  # offsets in what is placed

    def argument(self, value: "int | Const | Out | Scratch | Pointer") -> int:
        return value if isinstance(value, int) else self._address(value)

    def _address(self, value: Const | Out | Scratch | Pointer) -> int:
        if id(value) not in self._placed:
            self._placed[id(value)] = self._place(value)
        return self._placed[id(value)]

    def _place(self, value: Const | Out | Scratch | Pointer) -> int:
        if isinstance(value, Const):
            data = np.ascontiguousarray(value.values).tobytes()
            return self.put(data, self._off(value, len(data)))
        if isinstance(value, Scratch):
            at = self.put(UNTOUCHED * value.bytes, 0)
            self.scratches.append((at, value))
            return at
        if isinstance(value, Pointer):
            return self._structs(value.structs)
        size = np.asarray(value.wanted).nbytes
        given = b"\x5a" * size if value.initial is None else value.initial.tobytes()
        at = self.put(given, self._off(value, size))
        self.outs.append((at, value))
        return at

    def _off(self, value: Const | Out, size: int) -> int:
        return -size % 8 if self.at_the_end else value.off

    def _structs(self, structs: tuple[Struct, ...]) -> int:
        data = b""
        for one in structs:
            data = self._struct(one, data)
        at = self.put(data, 0)
        self.outs += [(at + offset, out) for offset, out in self._results]
        self._results.clear()
        return at

    def _struct(self, value: Struct, data: bytes) -> bytes:
        """`data` with the struct behind it, padded as C does."""
        align = self._align(value)
        data = _padded(data, align)
        for one in value.fields:
            if isinstance(one, Struct):
                data = self._struct(one, data)
            elif isinstance(one, int):
                data = _padded(data, 4) + struct.pack("<I", one & 0xFFFFFFFF)
            elif isinstance(one, Long):
                data = _padded(data, 8) + struct.pack("<q", one.value)
            elif isinstance(one, Result):
                data = _padded(data, one.bytes)
                dtype = np.int64 if one.bytes == 8 else np.int32
                self._results.append((len(data), Out(np.array([one.value], dtype))))
                data += b"\x5a" * one.bytes
            elif isinstance(one, Address):
                data = _padded(data, self.pointer_bytes)
                at = 0 if one.of is None else self._address(one.of) + one.ahead
                wanted = at.to_bytes(self.pointer_bytes, "little")
                self._results.append((len(data), Out(np.frombuffer(wanted, np.uint8))))
                data += UNTOUCHED * self.pointer_bytes
            else:
                address = 0 if one is None else self._address(one)
                data = _padded(data, self.pointer_bytes)
                data += address.to_bytes(self.pointer_bytes, "little")
        return _padded(data, align)

    def _align(self, value: Struct) -> int:
        sizes = [4]
        for one in value.fields:
            if isinstance(one, Struct):
                sizes.append(self._align(one))
            elif isinstance(one, Long):
                sizes.append(8)
            elif isinstance(one, Result):
                sizes.append(one.bytes)
            elif not isinstance(one, int):
                sizes.append(self.pointer_bytes)
        return max(sizes)

    def check(self, read: Callable[[int, int], bytes], label: str) -> None:
        """Raises Difference unless all outputs hold what the reference says, scratch is used up."""
        for at, scratch in self.scratches:
            left = read(at, scratch.bytes)
            spare = len(left) - len(left.rstrip(UNTOUCHED))
            if scratch.spare is not None and spare > scratch.spare:
                raise Difference(f"{label}: of {scratch.bytes} bytes of scratch {spare} are spare")
        for at, out in self.outs:
            wanted = np.ascontiguousarray(out.wanted)
            got = read(at, wanted.nbytes)
            if got != wanted.tobytes():
                values = np.frombuffer(got, wanted.dtype).reshape(wanted.shape)
                wrong = np.argwhere(values != wanted)
                first = tuple(int(i) for i in wrong[0])
                raise Difference(
                    f"{label}: {len(wrong)} of {wanted.size} values differ, the first at "
                    f"{first}: {values[first]} instead of {wanted[first]}"
                )


def _padded(data: bytes, to: int) -> bytes:
    return data + bytes(-len(data) % to)

"""What goes in and comes out of a model, as bytes: each port's values, one port after another.

On the wire a port begins at a multiple of its item's size; nothing else stands between two ports.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MOST_PORTS = 16  # of a side
DTYPES: tuple[str, ...] = ("int8", "int16")


@dataclass(frozen=True)
class Port:
    """One end: its name, the type of a value, and how many there are."""

    name: str
    dtype: str
    size: int

    @property
    def extent(self) -> int:
        """Bytes on the wire."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Ports:
    """All ports of one side, in order."""

    ports: tuple[Port, ...]

    @property
    def values(self) -> int:
        """Values of all ports."""
        return sum(port.size for port in self.ports)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where each port begins on the wire, in bytes."""
        at, found = 0, []
        for port in self.ports:
            item = np.dtype(port.dtype).itemsize
            at = -(-at // item) * item
            found.append(at)
            at += port.extent
        return tuple(found)

    @property
    def extent(self) -> int:
        """Bytes on the wire, of all ports."""
        return self.offsets[-1] + self.ports[-1].extent

    @property
    def dtype(self) -> str:
        """The type that holds the values of every port."""
        return max((port.dtype for port in self.ports), key=lambda name: np.dtype(name).itemsize)

    @property
    def said(self) -> str:
        """In words: "left 6 int8, right 3 int16"."""
        return ", ".join(f"{port.name} {port.size} {port.dtype}" for port in self.ports)

    def pack(self, codes: Array) -> bytes:
        """The values of one row as the device takes them, little-endian."""
        flat, data, first = codes.reshape(-1), bytearray(self.extent), 0
        for port, at in zip(self.ports, self.offsets, strict=True):
            part = flat[first : first + port.size]
            data[at : at + port.extent] = part.astype(_little(port.dtype)).tobytes()
            first += port.size
        return bytes(data)

    def unpack(self, data: bytes) -> Array:
        """The values (values,) of one row of bytes, in the type that holds them all."""
        parts = [
            np.frombuffer(data, _little(port.dtype), port.size, at)
            for port, at in zip(self.ports, self.offsets, strict=True)
        ]
        return np.concatenate(parts).astype(self.dtype)


def _little(dtype: str) -> np.dtype[Any]:
    return np.dtype(dtype).newbyteorder("<")

"""A virtual board in this process behind the device of a serial port: nothing waits for a clock."""

import random
from pathlib import Path

from edgeq.harness.link import BoardLink
from edgeq.harness.port import Port
from edgeq.sim import VIRTUAL_M4, BufferPort, Machine
from tests.unit.harness.lossy_line import damaged


class GuestSerial:
    """What a Port asks of pyserial. The guest runs when it is asked for what it sends, until it
    waits for more; `damage` is the share of bytes hurt on either way.
    """

    def __init__(self, elf: Path, damage: float = 0.0, seed: int = 0) -> None:
        self._wire, self._out = BufferPort(), bytearray()
        self._machine = Machine(VIRTUAL_M4, self._wire)
        self._machine.load(elf)
        self._damage, self._random = damage, random.Random(seed)

    @property
    def cycles(self) -> int:
        """Of the guest since its reset: what it was busy, for its time stands while it waits."""
        return self._machine.clock.cycles

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read, after the guest has done what it could."""
        if self._wire.incoming or not self.cycles:
            self._machine.run()
            self._out += self._hurt(self._wire.take())
        return len(self._out)

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        data = bytes(self._out[:size])
        del self._out[:size]
        return data

    def write(self, data: bytes) -> int:
        """All of it reaches the guest's receiver."""
        self._wire.incoming += self._hurt(data)
        return len(data)

    def close(self) -> None:
        """Nothing is held."""

    def link(self) -> BoardLink:
        """The protocol over it."""
        return BoardLink.over(Port("guest", self), 60.0)

    def _hurt(self, data: bytes) -> bytes:
        return damaged(data, self._damage, self._random)[0] if self._damage else data

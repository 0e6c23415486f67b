"""What the families' UARTs share: a data register, an enable register, a polled status."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block, Gate
from edgeq.sim.wire import Wire


class PolledUart(Block):
    """A UART without interrupts. `clock_hz()` feeds it, `wired()`: whether TX reaches its pin.

    A subclass names its registers (offsets), the enable bits of CONTROL, and gives `status`.
    """

    STATUS: ClassVar[int]
    RECEIVE: ClassVar[int]
    TRANSMIT: ClassVar[int]
    CONTROL: ClassVar[int]
    ENABLE: ClassVar[int]
    RECEIVER: ClassVar[int]
    TRANSMITTER: ClassVar[int]
    REFUSED: ClassVar[Mapping[int, tuple[int, str]]] = {}  # by offset: bits, what they ask for

    def __init__(
        self,
        bus: Bus,
        name: str,
        base: int,
        words: Mapping[int, int],
        gate: Gate,
        clock_hz: Callable[[], int],
        wired: Callable[[], bool],
    ) -> None:
        super().__init__(bus, name, base, words, gate)
        self.wire = Wire(bus, wired)
        self._clock_hz = clock_hz

    def status(self, received: bool) -> int:
        """The status register; `received`: a byte waits for a receiver that is on."""
        raise NotImplementedError

    def load(self, offset: int) -> int:
        """The state of the wire, the received byte, or what was written."""
        if offset == self.STATUS:
            return self.status(self._on(self.RECEIVER) and self.wire.has_input())
        return self.wire.receive() if offset == self.RECEIVE else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Data goes out where the transmitter is on; a receiver that goes on hears from then on."""
        if offset == self.TRANSMIT:
            self.wire.send(value) if self._on(self.TRANSMITTER) else self.wire.answered()
            return
        bits, what = self.REFUSED.get(offset, (0, ""))
        if value & bits:
            self.bus.refuse(f"it asks {self.name} for {what}, which is not modelled")
        heard = self._on(self.RECEIVER)
        super().store(offset, value)
        if self._on(self.RECEIVER) and not heard:
            self.wire.listen()

    def _on(self, part: int) -> bool:
        wanted = self.ENABLE | part
        return self.words[self.CONTROL] & wanted == wanted

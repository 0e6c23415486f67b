"""The serial wire behind every UART model: what a firmware that polls sends, and waits for.

Bits take no time on the wire: a transmitter is never full. When the firmware polls for input and
there is none, the host sleeps and virtual time stands still, so cycles do not depend on it. While a
device goes on by itself (sound comes in) time passes: the firmware is told that there is none.

Most UARTs have one status register for "may I send" and "has something come", so a read of it may
be either question. The block that asks tells: a site whose answer is followed by a byte sent
transmits; one that asks again without is waiting for input. The first question of every site is
answered "nothing yet", so that learning this costs the same cycles whether or not the host was
early.
"""

from collections.abc import Callable

from edgeq.sim.bus import Bus

BUFFER_BYTES = 4096
TAIL_BYTES = 256
WAIT_LOOP_CYCLES = 2000  # two questions further apart than this are not one wait loop
TRANSMITS, WAITS = 1, 2


class Wire:
    """The bytes between a UART and `bus.port`; the run ends when input is wanted and never comes.

    `connected()` says whether the UART's transmitter reaches a pin: else what it sends is lost.
    """

    def __init__(self, bus: Bus, connected: Callable[[], bool] = lambda: True) -> None:
        self._bus, self._port = bus, bus.port
        self._connected = connected
        self._rx = b""
        self._at = 0  # next byte of _rx
        self._tx = bytearray()
        self._tail = b""
        self._sites: dict[int, int] = {}
        self._asked: tuple[int, int] = (-1, 0)  # site and cycles of the question not followed up

    @property
    def tail(self) -> bytes:
        """The last bytes the firmware sent."""
        return (self._tail + bytes(self._tx))[-TAIL_BYTES:]

    def listen(self) -> None:
        """The receiver goes on: what was sent before is lost, as on a real board."""
        while self._port.read():
            pass

    def send(self, byte: int) -> None:
        """The firmware writes a byte to its transmitter, which is on."""
        self.answered()
        if self._connected():
            self._tx.append(byte & 0xFF)
            if len(self._tx) >= BUFFER_BYTES:
                self.flush()

    def answered(self) -> None:
        """The status read last was asked in order to send."""
        site, _ = self._asked
        if site >= 0:
            self._sites[site] = self._sites.get(site, 0) | TRANSMITS
            self._asked = (-1, 0)

    def receive(self) -> int:
        """The next byte; 0 where none is."""
        if self._at >= len(self._rx):
            return 0
        self._at += 1
        return self._rx[self._at - 1]

    def has_input(self) -> bool:
        """The firmware, whose receiver is on, reads its status: is there a byte?"""
        return self._at < len(self._rx) or self._ask()

    def flush(self) -> None:
        """Hand over what the firmware has sent."""
        if self._tx:
            data = bytes(self._tx)
            self._tx.clear()
            self._tail = (self._tail + data)[-TAIL_BYTES:]
            self._port.write(data)

    def wait(self) -> bool:
        """Sleep until there is something to read; False if there never will be."""
        return self._at < len(self._rx) or self._port.wait()

    def _ask(self) -> bool:
        if self._bus.lives:
            return self._fill()
        site = self._bus.site()
        kind = self._sites.get(site, 0)
        return (kind == WAITS or self._asks_again(site)) and self._fill()

    def _asks_again(self, site: int) -> bool:
        before, when = self._asked
        now = self._bus.cycles()
        self._asked = (site, now)
        if before != site or now - when > WAIT_LOOP_CYCLES:
            return False
        self._sites[site] = self._sites.get(site, 0) | WAITS
        self._asked = (-1, 0)
        return True

    def _fill(self) -> bool:
        self.flush()
        self._rx, self._at = self._port.read(), 0
        if self._bus.lives:
            return bool(self._rx)
        if not self._rx and self._port.wait():
            self._rx = self._port.read()
        if not self._rx:
            self._bus.finish("idle")
        return bool(self._rx)

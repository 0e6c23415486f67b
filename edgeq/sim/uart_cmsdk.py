"""The CMSDK APB UART (Arm DDI 0479, section 4.3), as far as a polling firmware needs it.

Bits take no time on the wire: the transmit buffer is never full. When the firmware polls for input
and there is none, the host sleeps and virtual time stands still, so cycles do not depend on it.

STATE carries both "transmit full" and "receive full", so a read of it may be either question. The
block that asks tells: a site whose answer is followed by a write to DATA transmits; one that asks
again without is waiting for input. The first question of every site is answered "nothing yet", so
that learning this costs the same cycles whether or not the host was early.
"""

from collections.abc import Callable

from edgeq.sim.port import SerialPort

DATA, STATE, CTRL, INTSTATUS, BAUDDIV = 0x00, 0x04, 0x08, 0x0C, 0x10
TX_ENABLE, RX_ENABLE = 1, 2
RX_FULL = 2
BUFFER_BYTES = 4096
TAIL_BYTES = 256
WAIT_LOOP_CYCLES = 2000  # two questions further apart than this are not one wait loop
TRANSMITS, WAITS, BOTH = 1, 2, 3


class CmsdkUart:
    """One UART page. `site()` is the running block's address, `now()` the clock in cycles.

    `on_idle` is called when input is wanted and will never come.
    """

    def __init__(
        self,
        port: SerialPort,
        site: Callable[[], int],
        now: Callable[[], int],
        on_idle: Callable[[], None],
    ) -> None:
        self._port = port
        self._site, self._now, self._on_idle = site, now, on_idle
        self._ctrl = self._divider = 0
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

    def read(self, offset: int) -> int:
        """A register as the firmware reads it."""
        if offset == STATE:
            return RX_FULL if self._at < len(self._rx) else self._ask()
        if offset == DATA:
            return self._pop()
        return {CTRL: self._ctrl, BAUDDIV: self._divider}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """A register as the firmware writes it."""
        if offset == DATA:
            self._push(value & 0xFF)
        elif offset == CTRL:
            if value & RX_ENABLE and not self._ctrl & RX_ENABLE:
                self._discard()
            self._ctrl = value & 0x7F
        elif offset == BAUDDIV:
            self._divider = value & 0xFFFFF

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

    def _discard(self) -> None:
        while self._port.read():  # sent before the UART listened: lost, as on a real board
            pass

    def _push(self, value: int) -> None:
        site, _ = self._asked
        if site >= 0:
            self._sites[site] = self._sites.get(site, 0) | TRANSMITS
            self._asked = (-1, 0)
        if self._ctrl & TX_ENABLE:
            self._tx.append(value)
            if len(self._tx) >= BUFFER_BYTES:
                self.flush()

    def _pop(self) -> int:
        if self._at >= len(self._rx):
            return 0
        self._at += 1
        return self._rx[self._at - 1]

    def _ask(self) -> int:
        if not self._ctrl & RX_ENABLE:
            return 0
        site = self._site()
        kind = self._sites.get(site, 0)
        if kind != WAITS and not self._asks_again(site):
            return 0
        return RX_FULL if self._fill() else 0

    def _asks_again(self, site: int) -> bool:
        before, when = self._asked
        now = self._now()
        self._asked = (site, now)
        if before != site or now - when > WAIT_LOOP_CYCLES:
            return False
        self._sites[site] = self._sites.get(site, 0) | WAITS
        self._asked = (-1, 0)
        return True

    def _fill(self) -> bool:
        self.flush()
        self._rx, self._at = self._port.read(), 0
        if not self._rx and self._port.wait():
            self._rx = self._port.read()
        if not self._rx:
            self._on_idle()
        return bool(self._rx)

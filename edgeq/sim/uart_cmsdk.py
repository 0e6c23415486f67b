"""The CMSDK APB UART (Arm DDI 0479, section 4.3), as far as a polling firmware needs it."""

from edgeq.sim.bus import Bus
from edgeq.sim.wire import Wire

DATA, STATE, CTRL, INTSTATUS, BAUDDIV = 0x00, 0x04, 0x08, 0x0C, 0x10
TX_ENABLE, RX_ENABLE = 1, 2
RX_FULL = 2


class CmsdkUart:
    """One UART page; its transmit buffer is never full."""

    def __init__(self, bus: Bus) -> None:
        self.wire = Wire(bus)
        self._ctrl = self._divider = 0

    def read(self, offset: int) -> int:
        """A register as the firmware reads it."""
        if offset == STATE:
            return RX_FULL if self._ctrl & RX_ENABLE and self.wire.has_input() else 0
        if offset == DATA:
            return self.wire.receive()
        return {CTRL: self._ctrl, BAUDDIV: self._divider}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        """A register as the firmware writes it."""
        if offset == DATA:
            if self._ctrl & TX_ENABLE:
                self.wire.send(value)
            else:
                self.wire.answered()
        elif offset == CTRL:
            if value & RX_ENABLE and not self._ctrl & RX_ENABLE:
                self.wire.listen()
            self._ctrl = value & 0x7F
        elif offset == BAUDDIV:
            self._divider = value & 0xFFFFF

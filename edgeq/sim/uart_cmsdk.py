"""The CMSDK APB UART (Arm DDI 0479, section 4.3), as far as a polling firmware needs it."""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block
from edgeq.sim.wire import Wire

DATA, STATE, CTRL, INTSTATUS, BAUDDIV = 0x00, 0x04, 0x08, 0x0C, 0x10
TX_ENABLE, RX_ENABLE = 1, 2
INTERRUPTS, HIGH_SPEED_TEST = 0x3C, 1 << 6
RX_FULL = 2


class CmsdkUart(Block):
    """One UART page; its transmit buffer is never full."""

    def __init__(self, bus: Bus, base: int) -> None:
        super().__init__(bus, "the UART", base, dict.fromkeys(range(0x00, 0x14, 4), 0))
        self.wire = Wire(bus)

    def load(self, offset: int) -> int:
        """A register as the firmware reads it."""
        if offset == STATE:
            return RX_FULL if self.words[CTRL] & RX_ENABLE and self.wire.has_input() else 0
        return self.wire.receive() if offset == DATA else super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """A register as the firmware writes it."""
        if offset == DATA:
            if self.words[CTRL] & TX_ENABLE:
                self.wire.send(value)
            else:
                self.wire.answered()
        elif offset == CTRL:
            self._switch(value)
        elif offset == BAUDDIV:
            super().store(offset, value & 0xFFFFF)

    def _switch(self, value: int) -> None:
        if value & (INTERRUPTS | HIGH_SPEED_TEST):
            self.bus.refuse(
                f"it asks the UART for interrupts or its test mode (CTRL 0x{value:x}), which are "
                "not modelled: poll"
            )
        if value & RX_ENABLE and not self.words[CTRL] & RX_ENABLE:
            self.wire.listen()
        super().store(CTRL, value)

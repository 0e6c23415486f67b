"""XIP_SSI of RP2040 (datasheet, 4.10.13) with a W25Q16JV behind it, as a second stage uses them.

Commands are bytes over standard SPI, in a transfer that lasts until the firmware looks whether all
is sent. A quad read with mode bits A0 puts the flash into continuous mode; then the SSI must be set
to send no command, and the core may execute from the flash (Winbond W25Q16JV datasheet, 8.2.14).
"""

from edgeq.sim.bus import Bus
from edgeq.sim.registers import Block

CTRLR0, CTRLR1, SSIENR, SER, BAUDR, SR, DR0, SAMPLE_DELAY, SPI_CTRLR0 = (
    0x00, 0x04, 0x08, 0x10, 0x14, 0x28, 0x60, 0xF0, 0xF4,
)  # fmt: skip
OFFSETS = (CTRLR0, CTRLR1, SSIENR, SER, BAUDR, SR, DR0, SAMPLE_DELAY, SPI_CTRLR0)
TX_NOT_FULL, TX_EMPTY, RX_NOT_EMPTY = 1 << 1, 1 << 2, 1 << 3
QUAD = 2  # CTRLR0[22:21]
INSTRUCTION_LENGTH = 3 << 8  # SPI_CTRLR0[9:8], 0 for none
ADDRESS_32_BITS = 8  # SPI_CTRLR0[5:2], 24 of address and 8 of mode
WAIT_4 = 4  # SPI_CTRLR0[15:11]
ALL_ON_FOUR_LINES = 2  # SPI_CTRLR0[1:0]
READ_QUAD, MODE_CONTINUOUS = 0xEB, 0xA0
STATUS_2_QUAD = 2


class Flash:
    """The serial flash: its status registers and whether it reads without commands."""

    def __init__(self, quad: bool) -> None:
        self.status_1, self.status_2 = 0, STATUS_2_QUAD if quad else 0
        self.continuous = False
        self._writable = False

    def answer(self, sent: list[int]) -> int:
        """The byte that comes back while the last of `sent` goes out."""
        command, at = sent[0], len(sent) - 1
        if command in (0x05, 0x35) and at:
            return self.status_1 if command == 0x05 else self.status_2
        return 0xFF

    def end(self, sent: list[int]) -> None:
        """The chip select rises: what was sent takes effect."""
        if sent[0] == 0x06:
            self._writable = True
        elif sent[0] == 0x01 and len(sent) == 3 and self._writable:
            self.status_1, self.status_2 = sent[1] & 0xFC, sent[2]
            self._writable = False


class Ssi(Block):
    """`can_execute` tells whether the flash may be read as memory now, and `why_not` why not."""

    def __init__(self, bus: Bus, base: int, flash: Flash) -> None:
        super().__init__(bus, "XIP_SSI", base, dict.fromkeys(OFFSETS, 0) | {SSIENR: 1, SER: 1})
        self.flash = flash
        self._sent: list[int] = []
        self._received: list[int] = []

    def why_not(self) -> str:
        """What keeps the core from executing from the flash, "" when nothing does."""
        word = self.words[SPI_CTRLR0]
        if not self.words[SSIENR]:
            return "XIP_SSI is off"
        if self._format() != QUAD or word & INSTRUCTION_LENGTH:
            return "XIP_SSI is not set to quad reads without a command"
        shape = (word & 3, word >> 2 & 15, word >> 11 & 31, word >> 24)
        if shape != (ALL_ON_FOUR_LINES, ADDRESS_32_BITS, WAIT_4, MODE_CONTINUOUS):
            return f"XIP_SSI's SPI_CTRLR0 is 0x{word:08x}"
        return "" if self.flash.continuous else "the flash is not in continuous read mode"

    def load(self, offset: int) -> int:
        """SR ends a transfer, for nothing is left to send; DR0 is the receive FIFO."""
        if offset == SR:
            self._end()
            waiting = RX_NOT_EMPTY if self._received else 0
            return TX_NOT_FULL | TX_EMPTY | waiting
        if offset == DR0:
            return self._received.pop(0) if self._received else 0
        return super().load(offset)

    def store(self, offset: int, value: int) -> None:
        """Settings change only while it is off (4.10.13, SSIENR); switching off empties FIFOs."""
        if offset == DR0:
            self._send(value)
            return
        if offset != SSIENR and self.words[SSIENR] and offset != SER:
            self.bus.refuse(f"it writes 0x{self.base + offset:08x} while XIP_SSI is on")
        if offset == SSIENR and not value:
            self._end()
            self._received.clear()
        super().store(offset, value)

    def _format(self) -> int:
        return self.words[CTRLR0] >> 21 & 3

    def _send(self, value: int) -> None:
        if not self.words[SSIENR]:
            return
        self._sent.append(value)
        if self._format() != QUAD:
            self._received.append(self.flash.answer([byte & 0xFF for byte in self._sent]))

    def _end(self) -> None:
        sent, self._sent = self._sent, []
        if not sent:
            return
        if self._format() != QUAD:
            self.flash.end([byte & 0xFF for byte in sent])
            return
        quad = self.flash.status_2 & STATUS_2_QUAD
        first = sent[0] == READ_QUAD and len(sent) == 2 and quad
        self.flash.continuous = bool(first) and sent[1] & 0xFF == MODE_CONTINUOUS
        self._received.append(0xFFFFFFFF)

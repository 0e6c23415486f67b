"""Semihosting: what a firmware asks of its debugger by BKPT 0xAB, as far as it writes and ends.

Arm semihosting specification (release 3). Time of day is always zero and the clock is the modelled
one, so that two runs are the same; files other than the console do not exist.
"""

from collections.abc import Callable
from dataclasses import dataclass

BREAKPOINT = b"\xab\xbe"
APPLICATION_EXIT = 0x20026
OPEN, CLOSE, WRITE_CHAR, WRITE_TEXT, WRITE, READ, IS_ERROR, IS_CONSOLE = 1, 2, 3, 4, 5, 6, 8, 9
SEEK, LENGTH, CLOCK, TIME, ERRNO, COMMAND_LINE, HEAP, EXIT = 10, 12, 16, 17, 19, 21, 22, 24
EXIT_EXTENDED, ELAPSED, TICK_FREQUENCY = 0x20, 0x30, 0x31
FAILED = 0xFFFFFFFF
MAX_TEXT_BYTES = 1 << 16
CENTISECONDS = 100


@dataclass(frozen=True)
class Answer:
    """r0 for the firmware, or the exit code with which it ends; `refused` names what is missing."""

    r0: int = 0
    exit_code: int | None = None
    refused: str = ""


class Semihosting:
    """`read` and `write` guest memory; `console` takes what the firmware prints."""

    def __init__(
        self,
        read: Callable[[int, int], bytes],
        write: Callable[[int, bytes], None],
        console: Callable[[bytes], None],
        cycles: Callable[[], int],
        clock_hz: int,
    ) -> None:
        self._read, self._write, self._console = read, write, console
        self._cycles, self._clock_hz = cycles, clock_hz

    def answer(self, operation: int, argument: int) -> Answer:
        """Do what r0 = `operation`, r1 = `argument` asks for."""
        if operation == EXIT:
            return Answer(exit_code=0 if argument == APPLICATION_EXIT else 1)
        if operation == EXIT_EXTENDED:
            reason, code = self._words(argument, 2)
            return Answer(exit_code=code if reason == APPLICATION_EXIT else 1)
        if operation in (WRITE_CHAR, WRITE_TEXT, WRITE):
            return Answer(self._print(operation, argument))
        return self._ask(operation, argument)

    def _print(self, operation: int, argument: int) -> int:
        if operation == WRITE_CHAR:
            self._console(self._read(argument, 1))
        elif operation == WRITE_TEXT:
            self._console(self._text(argument))
        else:
            _handle, start, count = self._words(argument, 3)
            self._console(self._read(start, min(count, MAX_TEXT_BYTES)))
            return max(0, count - MAX_TEXT_BYTES)  # bytes not written
        return 0

    def _ask(self, operation: int, argument: int) -> Answer:
        now = self._cycles()
        fixed = {CLOSE: 0, IS_ERROR: 0, IS_CONSOLE: 1, LENGTH: 0, TIME: 0, ERRNO: 0, SEEK: FAILED,
                 COMMAND_LINE: FAILED, CLOCK: now * CENTISECONDS // self._clock_hz,
                 TICK_FREQUENCY: self._clock_hz}  # fmt: skip
        if operation in fixed:
            return Answer(fixed[operation] & FAILED)
        if operation == OPEN:
            name, _mode, size = self._words(argument, 3)
            return Answer(1 if self._read(name, min(size, 16)) == b":tt" else FAILED)
        if operation == READ:
            return Answer(self._words(argument, 3)[2])  # all of it is missing: end of input
        if operation == HEAP:
            self._write(self._words(argument, 1)[0], bytes(16))  # no limits to tell
            return Answer()
        if operation == ELAPSED:
            self._write(argument, now.to_bytes(8, "little"))
            return Answer()
        return Answer(refused=f"semihosting operation 0x{operation:02x} is not modelled")

    def _words(self, address: int, count: int) -> list[int]:
        data = self._read(address, 4 * count)
        return [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4)]

    def _text(self, address: int) -> bytes:
        text = bytearray()
        while len(text) < MAX_TEXT_BYTES:
            byte = self._read(address + len(text), 1)
            if byte == b"\0":
                break
            text += byte
        return bytes(text)

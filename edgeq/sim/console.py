"""What a firmware prints by semihosting."""

from collections.abc import Callable

TAIL_BYTES = 256


class Console:
    """Hands text on and remembers the end of it for a report."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self.tail = b""

    def write(self, text: bytes) -> None:
        """The firmware prints `text`."""
        self.tail = (self.tail + text)[-TAIL_BYTES:]
        self._write(text)

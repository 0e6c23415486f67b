"""What the machine asks of a board's serial port, whichever family's registers drive it."""

from typing import Protocol


class Uart(Protocol):
    """The firmware's end of the wire."""

    @property
    def tail(self) -> bytes:
        """The last bytes the firmware sent."""

    def flush(self) -> None:
        """Hand over what the firmware has sent."""

    def wait(self) -> bool:
        """Sleep until there is something to read; False if there never will be."""


class NoUart:
    """A board whose serial port is not modelled: nothing is ever sent or received."""

    tail = b""

    def flush(self) -> None:
        """Nothing to hand over."""

    def wait(self) -> bool:
        """Nothing will ever arrive."""
        return False

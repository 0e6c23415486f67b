"""The serial port of a meter: what goes wrong on it is the meter's error, under its name."""

import time

from edgeq.errors import Link, Meter
from edgeq.harness.port import Port

WRITE_S = 5.0
MOMENT_S = 0.1
_QUIET_S = 5.0  # a meter that still talks after so long is told nothing more


class MeterPort:
    """An open port. Every call returns or raises Meter by its deadline."""

    def __init__(self, title: str, name: str | None, baud: int) -> None:
        if name is None:
            raise Meter(f"{title}: which port? name it with --meter-port; see `edgeq meters`")
        self._title = title
        try:
            self._port = Port.open(name, baud)
        except Link as error:
            raise Meter(f"{title}: {error}") from None

    @property
    def name(self) -> str:
        """The port's path."""
        return self._port.name

    def read(self, timeout_s: float = MOMENT_S) -> bytes:
        """What has arrived, as soon as something has; b"" after `timeout_s`."""
        try:
            return self._port.read(timeout_s)
        except Link as error:
            raise Meter(f"{self._title}: {error}") from None

    def write(self, data: bytes) -> None:
        """Hands all of `data` to the system."""
        try:
            self._port.write(data, WRITE_S)
        except Link as error:
            raise Meter(f"{self._title}: {error}") from None

    def drain(self) -> None:
        """Reads until the line is quiet."""
        deadline = time.monotonic() + _QUIET_S
        while time.monotonic() < deadline and self.read():
            pass

    def close(self) -> None:
        """Closes the port; a vanished one too."""
        self._port.close()

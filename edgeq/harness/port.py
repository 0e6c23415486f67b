"""A serial port with deadlines: every pyserial URL form and pty paths, errors in edgeq's words."""

import contextlib
import errno
import os
import re
import select
import time
from collections.abc import Callable
from typing import TypeVar

import serial  # type: ignore[import-untyped]

from edgeq.errors import Link

_T = TypeVar("_T")
_CALM_S = 0.02  # pause between looks at a port that has no file descriptor


class Port:
    """An open serial port. Every call returns or raises `Link` by its deadline."""

    def __init__(self, name: str, device: serial.SerialBase) -> None:
        self.name = name
        self._device = device
        self._fd = _descriptor(device)

    @classmethod
    def open(cls, name: str, baud: int) -> "Port":
        """Opens `name` for us alone. Raises Link: absent, busy, forbidden, or no serial port."""
        try:
            device = serial.serial_for_url(
                name, baudrate=baud, timeout=0, write_timeout=1.0, exclusive=True
            )
        except (serial.SerialException, OSError, ValueError, TypeError, re.error) as error:
            raise Link(_why_not_open(name, error)) from None
        return cls(name, device)

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, as soon as something has; b"" after `timeout_s`."""
        return self._guard(lambda: self._read(max(0.0, timeout_s)))

    def write(self, data: bytes, timeout_s: float) -> None:
        """Hands all of `data` to the system. Raises Link when it is not taken in time."""
        self._guard(lambda: self._write(data, max(0.0, timeout_s)))

    def set_baud(self, baud: int) -> None:
        """The rate from now on. Raises Link where the port does not take it."""

        def change() -> None:
            self._device.baudrate = baud

        try:
            self._guard(change)
        except ValueError as error:
            raise Link(f"{self.name}: no {baud} baud: {error}") from None

    def close(self) -> None:
        """Closes the port; a vanished one too."""
        try:
            self._device.close()
        except Exception:  # pyserial lets termios.error through when the device is gone
            if self._fd is not None:
                self._device.fd = None

    def _read(self, timeout_s: float) -> bytes:
        if self._fd is None:
            return self._read_without_descriptor(timeout_s)
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return b""
        data = os.read(self._fd, 65536)
        if not data:
            raise OSError(errno.EIO, "end of file")
        return data

    def _read_without_descriptor(self, timeout_s: float) -> bytes:
        until = time.monotonic() + timeout_s
        while True:
            data: bytes = self._device.read(max(1, self._device.in_waiting))
            left = until - time.monotonic()
            if data or left <= 0:
                return data
            time.sleep(min(_CALM_S, left))

    def _write(self, data: bytes, timeout_s: float) -> None:
        if self._fd is None:
            self._device.write(data)
            return
        until = time.monotonic() + timeout_s
        while data:
            left = max(0.0, until - time.monotonic())
            if not select.select([], [self._fd], [], left)[1]:
                raise Link(f"{self.name}: the port takes no more bytes; reset the board")
            data = data[os.write(self._fd, data) :]

    def _guard(self, action: Callable[[], _T]) -> _T:
        try:
            return action()
        except (serial.SerialException, OSError, TypeError) as error:
            # TypeError: pyserial after its descriptor went away under it
            raise Link(
                f"{self.name}: the port is gone ({_reason(error)}); check the cable and the board"
            ) from None


def _descriptor(device: serial.SerialBase) -> int | None:
    """The file descriptor to wait on, or None (rfc2217, loop, Windows)."""
    if os.name != "posix":
        return None
    try:
        return int(device.fileno())
    except (AttributeError, OSError, ValueError):
        return None


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if isinstance(number, int) else str(error)


def _group(name: str) -> str:
    """The group that may open `name`."""
    with contextlib.suppress(ImportError, OSError, KeyError):  # Windows; gone; nameless
        import grp

        group = grp.getgrgid(os.stat(name).st_gid).gr_name
        return group if group != "root" else "dialout"
    return "dialout"


def _why_not_open(name: str, error: Exception) -> str:
    """One sentence for each way a port cannot be had."""
    text = str(error)
    number = getattr(error, "errno", None)
    if "exclusively lock" in text or number in (errno.EBUSY, errno.EAGAIN):
        return f"port {name} is busy: another program has it open; close that and try again"
    if number in (errno.EACCES, errno.EPERM):
        return (
            f"port {name} may not be opened by this user; `sudo usermod -aG {_group(name)} $USER`, "
            "then log in again; `edgeq doctor` checks it"
        )
    if isinstance(error, ValueError | TypeError | re.error):
        return f"port {name!r} is not a port: {text}; give a device path or a pyserial URL"
    if "configure port" in text or number in (errno.ENOTTY, errno.EISDIR):
        return f"{name} is not a serial port ({text})"
    if number == errno.ENOENT or not name.startswith("/"):
        return (
            f"port {name} does not exist or does not answer ({text}); attach the board, "
            "or look with `edgeq boards`"
        )
    return f"port {name} cannot be opened: {text}"

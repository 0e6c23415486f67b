"""Where the virtual UART's bytes go: a pseudo-terminal, standard input and output, or memory."""

import contextlib
import errno
import os
import select
import tty
from pathlib import Path
from typing import Protocol

from edgeq.errors import Link

READ_BYTES = 1 << 16


class SerialPort(Protocol):
    """The host's end of the wire."""

    def read(self) -> bytes:
        """What has arrived; b"" if nothing. Never blocks."""

    def wait(self) -> bool:
        """Sleep until read() has something; False if it never will, or after wake()."""

    def write(self, data: bytes) -> None:
        """Hand over all of `data`, sleeping while the host does not read; gives up after wake()."""

    def wake(self) -> None:
        """End wait() and write() for good. Safe in a signal handler."""

    def close(self) -> None:
        """Release what the port holds."""


class BufferPort:
    """A wire in memory: `incoming` is what the firmware will read, `outgoing` what it wrote."""

    def __init__(self) -> None:
        self.incoming = bytearray()
        self.outgoing = bytearray()

    def read(self) -> bytes:
        """All of `incoming`."""
        data = bytes(self.incoming)
        self.incoming.clear()
        return data

    def wait(self) -> bool:
        """True if `incoming` holds something: nobody can add to it while the guest runs."""
        return bool(self.incoming)

    def write(self, data: bytes) -> None:
        """Append to `outgoing`."""
        self.outgoing += data

    def wake(self) -> None:
        """Nothing ever sleeps here."""

    def close(self) -> None:
        """Nothing to release."""

    def take(self) -> bytes:
        """Empty `outgoing`."""
        data = bytes(self.outgoing)
        self.outgoing.clear()
        return data


class DescriptorPort:
    """Two file descriptors (the same one twice for a terminal)."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._in, self._out = incoming, outgoing
        self._wake_read, self.waker = os.pipe()  # a byte in it ends every sleep
        self._ended = False
        for descriptor in (incoming, outgoing, self.waker):
            os.set_blocking(descriptor, False)

    def read(self) -> bytes:
        """What has arrived."""
        try:
            data = os.read(self._in, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno == errno.EIO:  # nobody holds the other end of the terminal
                return b""
            raise
        self._ended |= not data
        return data

    def wait(self) -> bool:
        """Sleep until something arrives; False at the end of the input or after wake()."""
        if self._ended:
            return False
        ready, _, _ = select.select([self._in, self._wake_read], [], [])
        return self._wake_read not in ready

    def write(self, data: bytes) -> None:
        """Write all; sleeps while the host does not read."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._out, view) :]
            except BlockingIOError:
                ready, _, _ = select.select([self._wake_read], [self._out], [])
                if ready:
                    return
            except OSError as error:
                if error.errno not in (errno.EIO, errno.EPIPE):
                    raise
                return  # the host is gone: bytes on an unplugged wire are lost

    def wake(self) -> None:
        """End every sleep from now on."""
        with contextlib.suppress(OSError):
            os.write(self.waker, b"!")

    def close(self) -> None:
        """Close the wake pipe; descriptors that were passed in stay open."""
        os.close(self._wake_read)
        os.close(self.waker)


class StdioPort(DescriptorPort):
    """The firmware's serial port on standard input and output."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def close(self) -> None:
        """Give standard input and output back as they were."""
        super().close()
        for descriptor in (0, 1):
            os.set_blocking(descriptor, True)


class PtyPort(DescriptorPort):
    """A pseudo-terminal that a host opens like /dev/ttyACM0, also by the symbolic link `link`.

    The slave side is held open, so that it stays raw and the host may close and open it again.
    """

    def __init__(self, link: Path | None = None) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._link = link
        super().__init__(self._master, self._master)
        if link is not None:
            self._make_link(link)

    def _make_link(self, link: Path) -> None:
        try:
            if link.is_symlink():
                link.unlink()
            link.symlink_to(self.path)
        except OSError as error:
            self._link = None
            self.close()
            raise Link(f"cannot create the port link {link}: {error.strerror}") from error

    def close(self) -> None:
        """Remove the link and hang up."""
        link = self._link
        if link is not None and link.is_symlink() and os.readlink(link) == self.path:
            link.unlink()
        super().close()
        os.close(self._slave)
        os.close(self._master)

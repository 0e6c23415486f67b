"""The virtual UART behind a TCP port, as ser2net would serve it raw: one host at a time."""

import contextlib
import os
import select
import socket

from edgeq.errors import BadInput, Link
from edgeq.sim.port import READ_BYTES


class TcpPort:
    """Listens at "HOST:PORT" (port 0: any free one); `path` is its name as a pyserial URL.

    Anyone who can reach the address can use the board. A second host is turned away while the
    first is connected. Raises BadInput for what is no address, Link where it cannot listen.
    """

    def __init__(self, address: str) -> None:
        host, port = read_address(address)
        try:
            self._listener = socket.create_server((host, port))
        except (OSError, UnicodeError) as error:
            raise Link(
                f"cannot listen at {address}: {getattr(error, 'strerror', None) or error}; choose "
                "another port, or stop what serves this one (`edgeq boards`, `edgeq stop`)"
            ) from None
        self._listener.setblocking(False)
        self.path = f"socket://{host}:{self._listener.getsockname()[1]}"
        self._client: socket.socket | None = None
        self._wake_read, self.waker = os.pipe()  # a byte in it ends every sleep
        os.set_blocking(self.waker, False)

    def read(self) -> bytes:
        """What has arrived; b"" if nothing. Never blocks."""
        if self._client is None:
            self._admit()
        return self._take(READ_BYTES, 0)

    def wait(self) -> bool:
        """Sleep until something arrives, from whatever host; False after wake()."""
        while True:
            watched: list[socket.socket | int] = [self._listener, self._wake_read]
            if self._client is not None:
                watched.append(self._client)
            ready, _, _ = select.select(watched, [], [])
            if self._wake_read in ready:
                return False
            if self._take(1, socket.MSG_PEEK):
                return True
            if self._listener in ready:  # after a look whether the one before has left
                self._admit()

    def write(self, data: bytes) -> None:
        """Write all; sleeps while the host does not read. Bytes on an unplugged wire are lost."""
        view = memoryview(data)
        while view and self._client is not None:
            try:
                view = view[self._client.send(view) :]
            except BlockingIOError:
                ready, _, _ = select.select([self._wake_read], [self._client], [])
                if ready:
                    return
            except OSError:
                self._hang_up()

    def wake(self) -> None:
        """End every sleep from now on."""
        with contextlib.suppress(OSError):
            os.write(self.waker, b"!")

    def close(self) -> None:
        """Hang up and listen no more."""
        self._hang_up()
        self._listener.close()
        os.close(self._wake_read)
        os.close(self.waker)

    def _admit(self) -> None:
        try:
            host, _ = self._listener.accept()
        except OSError:  # none is there, or it has left again
            return
        if self._client is not None:
            host.close()
            return
        host.setblocking(False)
        host.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        host.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._client = host

    def _take(self, most: int, flags: int) -> bytes:
        """What the host has sent; one that has left is let go."""
        if self._client is None:
            return b""
        try:
            data = self._client.recv(most, flags)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._hang_up()
        return data

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def read_address(text: str) -> tuple[str, int]:
    """("HOST", port) of "HOST:PORT". Raises BadInput.

    >>> read_address("127.0.0.1:5001")
    ('127.0.0.1', 5001)
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise BadInput(f"{text!r} is no address to serve at; give HOST:PORT, as 127.0.0.1:5001")
    return host, int(port)

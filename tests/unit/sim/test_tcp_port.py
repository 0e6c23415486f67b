"""The virtual UART behind a TCP port: one host at a time, and no end of the world when it goes."""

import socket
import threading
from collections.abc import Iterator

import pytest

from edgeq.errors import BadInput, Link
from edgeq.sim.tcp_port import TcpPort, read_address
from tests.hang import HANG_S


@pytest.fixture
def port() -> Iterator[TcpPort]:
    made = TcpPort("127.0.0.1:0")
    yield made
    made.close()


def connected(port: TcpPort) -> socket.socket:
    host, number = port.path.removeprefix("socket://").split(":")
    return socket.create_connection((host, int(number)), timeout=HANG_S)


def test_bytes_both_ways(port: TcpPort) -> None:
    port.write(b"lost: nobody listens")
    assert port.read() == b""
    with connected(port) as host:
        host.sendall(b"ping")
        assert port.wait()
        assert (port.read(), port.read()) == (b"ping", b"")
        port.write(b"pong")
        assert host.recv(9) == b"pong"


def test_one_host_after_the_other_and_never_two(port: TcpPort) -> None:
    with connected(port) as first:
        first.sendall(b"a")
        assert port.wait()
        assert port.read() == b"a"
        with connected(port) as second:
            done = threading.Thread(target=port.wait)  # sleeps, but sees who knocks
            done.start()
            assert second.recv(1) == b""  # turned away
            first.sendall(b"b")
            done.join(HANG_S)
            assert port.wait()
            assert port.read() == b"b"
    with connected(port) as third:
        third.sendall(b"c")
        assert port.wait()
        assert port.read() == b"c"


def test_a_host_that_leaves_amid_a_long_write(port: TcpPort) -> None:
    host = connected(port)
    host.sendall(b"x")
    assert port.wait()
    writing = threading.Thread(target=port.write, args=(bytes(1 << 24),))
    writing.start()
    host.recv(1)
    host.close()
    writing.join(HANG_S)
    assert not writing.is_alive()


def test_wake_ends_wait(port: TcpPort) -> None:
    port.wake()
    assert not port.wait()


def test_a_port_that_is_taken(port: TcpPort) -> None:
    with pytest.raises(Link, match=r"cannot listen at 127.0.0.1:.*choose another port"):
        TcpPort(port.path.removeprefix("socket://"))


@pytest.mark.parametrize("text", ["", "5001", ":5001", "host:", "host:x", "host:70000", "h:²"])
def test_no_address(text: str) -> None:
    with pytest.raises(BadInput, match="give HOST:PORT"):
        read_address(text)

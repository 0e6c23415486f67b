"""How often a request goes out: a port that answers at once, or not at all."""

import pytest

from edgeq.harness import exchange as exchange_module
from edgeq.harness.exchange import Exchange, NoAnswer
from edgeq.harness.frame import Decoder, Frame, encode
from edgeq.harness.messages import ANSWER_BIT, PING, Request


class Clock:
    """The time of these tests: it passes while the port is waited for, and only then."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(exchange_module, "time", clock)
    return clock


class Echoing:
    """Stands in for Port: answers pings when it hears, and keeps how many frames each write had."""

    name = "echoing"

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.deaf = False
        self.frames_of_writes: list[int] = []
        self._answers = b""

    def write(self, data: bytes, _timeout_s: float) -> None:
        frames = Decoder().feed(data)
        self.frames_of_writes.append(len(frames))
        if not self.deaf:
            answers = (Frame(f.type | ANSWER_BIT, f.seq, f.payload) for f in frames)
            self._answers += b"".join(map(encode, answers))

    def read(self, timeout_s: float) -> bytes:
        # a little late, as a real wait is: time must pass
        self.clock.now += 0.001 if self._answers else max(0.0, timeout_s) + 0.0001
        data, self._answers = self._answers, b""
        return data


def ping(exchange: Exchange, seconds: float = 10.0) -> None:
    exchange.transact([Request(PING, b"hello")], exchange.port.clock.now + seconds)  # type: ignore[attr-defined]


def test_a_repetition_goes_out_twice(clock: Clock) -> None:
    port = Echoing(clock)
    exchange = Exchange(port)  # type: ignore[arg-type]
    port.deaf = True
    with pytest.raises(NoAnswer):
        ping(exchange, 0.6)
    assert port.frames_of_writes == [1, 2]
    assert (exchange.statistics.requests, exchange.statistics.retries) == (2, 1)


def test_all_requests_go_out_twice_while_many_are_lost(clock: Clock) -> None:
    port = Echoing(clock)
    exchange = Exchange(port)  # type: ignore[arg-type]
    ping(exchange)
    for _ in range(2):
        port.deaf = True
        with pytest.raises(NoAnswer):
            ping(exchange, 0.1)  # one timer of it runs out, at least
        port.deaf = False
    port.frames_of_writes.clear()
    ping(exchange)
    assert port.frames_of_writes == [2]
    for _ in range(100):
        ping(exchange)
    port.frames_of_writes.clear()
    ping(exchange)
    assert port.frames_of_writes == [1]
    assert exchange.statistics.stale > 0  # the answers to second copies

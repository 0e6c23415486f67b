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


class Slow(Echoing):
    """Every answer, of every copy, comes `delay` seconds after its request; one may be lost."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.delay, self.loses = 0.001, False
        self._due: list[tuple[float, bytes]] = []

    def write(self, data: bytes, _timeout_s: float) -> None:
        frames = Decoder().feed(data)
        self.frames_of_writes.append(len(frames))
        for frame in frames[self.loses :]:
            answer = encode(Frame(frame.type | ANSWER_BIT, frame.seq, frame.payload))
            self._due.append((self.clock.now + self.delay, answer))

    def read(self, timeout_s: float) -> bytes:
        first = self._due[0][0] if self._due else float("inf")
        self.clock.now = min(max(first, self.clock.now), self.clock.now + max(0, timeout_s)) + 1e-6
        here = [answer for due, answer in self._due if due <= self.clock.now]
        self._due = self._due[len(here) :]
        return b"".join(here)


def repetitions(exchange: Exchange, pings: int) -> int:
    before = exchange.statistics.retries
    for _ in range(pings):
        ping(exchange)
    return exchange.statistics.retries - before


def test_a_board_that_has_become_slow_is_not_drowned_in_repetitions(clock: Clock) -> None:
    """A busy computer's emulated board: Karn's rule alone never learns how slow."""
    port = Slow(clock)
    exchange = Exchange(port)  # type: ignore[arg-type]
    assert repetitions(exchange, 30) == 0
    port.delay = 0.3
    assert repetitions(exchange, 5) > 0
    assert repetitions(exchange, 30) == 0
    port.frames_of_writes.clear()
    ping(exchange)
    assert port.frames_of_writes == [1]  # nothing counts as lost


def test_a_lost_copy_teaches_the_timer_nothing(clock: Clock) -> None:
    """Were every repetition taken for an early timer, a lossy line would be waited for longest."""
    port = Slow(clock)
    exchange = Exchange(port)  # type: ignore[arg-type]
    repetitions(exchange, 30)
    port.loses = True
    start = clock.now
    assert 0 < repetitions(exchange, 10) < 10  # from then on all go out twice
    assert clock.now - start < 10 * 0.02

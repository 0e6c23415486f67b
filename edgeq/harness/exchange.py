"""Requests and answers over a line that loses, damages and repeats bytes.

A few requests are in flight at once. The line keeps order and the device answers in order, so an
answer to a later request proves an earlier one lost, and a damaged answer means a lost one: both
are sent again at once. Timers serve the rest; where every copy of a request is answered in the end,
none was lost and the timer was early. Every request is idempotent, so sending it again is always
safe.
"""

import secrets
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from edgeq.errors import Link
from edgeq.harness.fault import MOST_BYTES, refuse_fault
from edgeq.harness.frame import Decoder, Frame, encode
from edgeq.harness.messages import ANSWER_BIT, NAK, RUN, Request, answers
from edgeq.harness.port import Port

_FIRST_TIMEOUT_S = 0.4
_LEAST_TIMEOUT_S = 0.005
_MOST_TIMEOUT_S = 4.0
_MOST_BACKOFF = 4  # a lossy line is no congested one: repeating slowly would only take longer
_LOSSY = 0.05  # share of requests lost from which on all of them go out twice
_LOSS_MEMORY = 32  # requests over which that share is taken
_KEPT_COPIES = 256  # requests whose late answers are still told apart


class NoAnswer(Link):
    """The deadline passed without the answer."""


@dataclass
class LinkStatistics:
    """Counts since the link was opened."""

    requests: int = 0  # requests sent, repetitions included
    retries: int = 0  # of these, repetitions
    timeouts: int = 0  # repetitions that a timer started
    crc_errors: int = 0  # damaged frames received
    stale: int = 0  # sound frames that answered nothing open
    bytes_sent: int = 0
    bytes_received: int = 0
    echoes: int = 0  # our own kind of frames, come back


class _Pace:
    """Retransmission timer of one kind of request: RFC 6298 with a lower floor."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._deviation = 0.0
        self.backoff = 1

    def observe(self, seconds: float) -> None:
        if self._mean is None:
            self._mean, self._deviation = seconds, seconds / 2
        else:
            self._deviation += (abs(seconds - self._mean) - self._deviation) / 4
            self._mean += (seconds - self._mean) / 8

    @property
    def timeout_s(self) -> float:
        if self._mean is None:
            base = _FIRST_TIMEOUT_S
        else:
            base = self._mean + max(_LEAST_TIMEOUT_S, 4 * self._deviation)
        return min(base * self.backoff, _MOST_TIMEOUT_S)


@dataclass(frozen=True)
class _Sent:
    index: int
    seq: int
    at: float
    again: bool


@dataclass
class _Copies:
    """What became of a request and its repetitions, all of which may be answered."""

    pace: _Pace
    at: float  # the first was sent
    sent: int = 0
    repeats: int = 0
    heard: int = 0
    took_s: float = 0.0  # until the first answer

    def hear(self, now: float) -> bool:
        """An answer; whether it shows that no copy was lost, so that a timer was early."""
        self.heard += 1
        if self.heard == 1:
            self.took_s = now - self.at
        return self.repeats > 0 and self.heard == self.sent


class _Batch:
    """The state of one `transact`: what waits, what flies, what is answered."""

    def __init__(self, requests: Sequence[Request], first_seq: int) -> None:
        self.requests = requests
        self.seqs = [(first_seq + i) % 65536 for i in range(len(requests))]
        self.answers: list[Frame | None] = [None] * len(requests)
        self.waiting = deque(range(len(requests)))
        self.flying: list[_Sent] = []
        self.tried: set[int] = set()
        self._index_of = {seq: i for i, seq in enumerate(self.seqs)}

    @property
    def done(self) -> bool:
        return not self.waiting and not self.flying

    def accept(self, frame: Frame) -> tuple[bool, _Sent | None]:
        """Whether the frame answers an open request, and its transmission if still in flight."""
        index = self._index_of.get(frame.seq)
        if index is None or self.answers[index] is not None:
            return False, None
        if not answers(self.requests[index], frame.type, frame.payload):
            return False, None
        self.answers[index] = frame
        at = next((k for k, sent in enumerate(self.flying) if sent.index == index), None)
        if at is None:
            self.waiting.remove(index)  # answered after its timer had run out
            return True, None
        sent = self.flying[at]
        self.waiting.extendleft(lost.index for lost in reversed(self.flying[:at]))
        del self.flying[: at + 1]
        return True, sent

    def take_back_oldest(self) -> None:
        """Its answer arrived damaged: send it again."""
        self.waiting.appendleft(self.flying.pop(0).index)

    def expire(self, now: float, timeout_s: float) -> int:
        """Takes back what has flown for `timeout_s`; returns how many."""
        late = [sent for sent in self.flying if now - sent.at >= timeout_s]
        self.flying = [sent for sent in self.flying if now - sent.at < timeout_s]
        self.waiting.extendleft(sent.index for sent in reversed(late))
        return len(late)


class Exchange:
    """Sends requests over a port until each has its answer."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.statistics = LinkStatistics()
        self.window = 1  # requests in flight; the device says how many it can take
        self.decoder = Decoder()
        self._seq = secrets.randbelow(65536)  # an earlier session's answers must not match
        self._loss = 0.0  # share of recent requests that only a timer brought back
        self._paces = {True: _Pace(), False: _Pace()}  # inferences, everything else
        self._copies: dict[int, _Copies] = {}  # of the newest requests, by seq
        self._said = b""  # the newest bytes, for the words of a fault

    def transact(self, requests: Sequence[Request], deadline: float) -> list[Frame]:
        """The answers, in order (refusals among them). `deadline` is in time.monotonic seconds.

        Raises NoAnswer at the deadline, Faulted when the firmware stopped by a fault, Link when the
        port is gone.
        """
        batch = _Batch(requests, self._seq)
        self._seq = (self._seq + len(requests)) % 65536
        pace = self._paces[any(request.type == RUN for request in requests)]
        pace.backoff = 1
        while not batch.done:
            self._send(batch, deadline, pace)
            now = time.monotonic()
            wait = min(batch.flying[0].at + pace.timeout_s, deadline) - now
            if self._receive(batch, self.port.read(wait), pace) and batch.flying:
                batch.take_back_oldest()
            now = time.monotonic()
            if now >= deadline and not batch.done:
                raise NoAnswer(f"{self.port.name}: no answer")
            late = batch.expire(now, pace.timeout_s)
            if late:
                self._observe_loss(late, lost=True)
                self.statistics.timeouts += late
                pace.backoff = min(2 * pace.backoff, _MOST_BACKOFF)
        return [frame for frame in batch.answers if frame is not None]

    def _observe_loss(self, count: int, lost: bool) -> None:
        for _ in range(count):
            self._loss += (lost - self._loss) / _LOSS_MEMORY

    def _observe_early(self, copies: _Copies) -> None:
        """A timer ran out on a request that was only slow: it waits longer, and nothing was lost.

        Without this an end that has become slow is drowned in repetitions, which Karn's rule keeps
        from ever teaching the timer.
        """
        copies.pace.observe(copies.took_s)
        self._loss = max(0.0, self._loss - copies.repeats / _LOSS_MEMORY)

    def _note(self, seq: int, copies: int, again: bool, pace: _Pace) -> None:
        if not again:
            self._copies[seq] = _Copies(pace, time.monotonic())
            while len(self._copies) > _KEPT_COPIES:
                del self._copies[next(iter(self._copies))]
        if kept := self._copies.get(seq):
            kept.sent += copies
            kept.repeats += again

    def _send(self, batch: _Batch, deadline: float, pace: _Pace) -> None:
        wire = b""
        while batch.waiting and len(batch.flying) < self.window:
            index = batch.waiting.popleft()
            again = index in batch.tried
            batch.tried.add(index)
            request, seq = batch.requests[index], batch.seqs[index]
            batch.flying.append(_Sent(index, seq, time.monotonic(), again))
            # One of two copies survives more often than a timer costs.
            copies = 2 if again or self._loss > _LOSSY else 1
            wire += encode(Frame(request.type, seq, request.payload)) * copies
            self._note(seq, copies, again, pace)
            self.statistics.requests += 1
            self.statistics.retries += again
        if wire:
            self.port.write(wire, deadline - time.monotonic())
            self.statistics.bytes_sent += len(wire)

    def _receive(self, batch: _Batch, data: bytes, pace: _Pace) -> bool:
        """Hands answers to the batch; whether a damaged frame was among the data."""
        damaged = self.decoder.damaged
        self.statistics.bytes_received += len(data)
        self._said = (self._said + data)[-2 * MOST_BYTES :]
        refuse_fault(self._said, self.port.name)
        for frame in self.decoder.feed(data):
            copies = self._copies.get(frame.seq) if frame.type & ANSWER_BIT else None
            if copies and copies.hear(time.monotonic()):
                self._observe_early(copies)
            accepted, sent = batch.accept(frame)
            if not accepted:
                self.statistics.stale += 1
                self.statistics.echoes += not frame.type & ANSWER_BIT
                continue
            pace.backoff = 1
            self._observe_loss(1, lost=False)
            if sent is not None and not sent.again:  # Karn: only unambiguous round trips count
                pace.observe(time.monotonic() - sent.at)
        self.statistics.crc_errors = self.decoder.damaged
        return self.decoder.damaged > damaged


def refusal(frame: Frame) -> int | None:
    """The reason code of a refusal, None for a proper answer."""
    return frame.payload[0] if frame.type == NAK else None

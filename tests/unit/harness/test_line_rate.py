"""The line's rate: agreed on, kept while it is heard, and given back."""

import termios
from collections.abc import Callable, Iterator

import pytest
from lossy_line import LossyLine

from edgeq.harness.link import BoardLink
from tests.hang import HANG_S
from tests.unit.harness.test_link import PATIENT, run_samples

FAST, USUAL = 921_600, 115_200
CHANGES = ("-DSETS_BAUD", "-DEDGEQ_LINE_SILENCE_MS=300u")  # a call of the counter takes 1 ms
SPEEDS = {termios.B115200: USUAL, termios.B921600: FAST}


def speed(fd: int) -> int:
    """0: one that no test here sets, as a fresh pty's before the host has opened it."""
    return SPEEDS.get(termios.tcgetattr(fd)[4], 0)


class RatedLine(LossyLine):
    """What is sent at another rate than the other end has arrives as noise. `most`: what the wire
    carries; `board_rate` follows the board's terminal.
    """

    most = FAST

    @property
    def board_rate(self) -> int:
        return speed(self._board)

    def _hurt(self, data: bytes) -> bytes:
        if speed(self.host_master) == self.board_rate <= self.most:
            return super()._hurt(data)
        return bytes(byte ^ 0x5A for byte in data)


@pytest.fixture
def line(board: Callable[..., object]) -> Iterator[Callable[..., RatedLine]]:
    lines: list[RatedLine] = []

    def make(*flags: str, **kwargs: float) -> RatedLine:
        master = board(*flags).master  # type: ignore[attr-defined]
        rates = termios.tcgetattr(master)
        rates[4] = rates[5] = termios.B115200
        termios.tcsetattr(master, termios.TCSANOW, rates)
        lines.append(RatedLine(master, **kwargs))
        return lines[-1]

    yield make
    for one in lines:
        one.close()


def test_a_board_that_talks_before_the_host_is_there_is_noise(line):
    """A fresh pty has a rate of its own: what comes then is lost, the line goes on."""
    made = line(*CHANGES)
    assert speed(made.host_master) == 0
    assert made._hurt(b"early") != b"early"
    with BoardLink.open(made.path, **PATIENT) as link:
        run_samples(link, 1)


def test_a_faster_line_is_agreed_on_and_given_back(line):
    made = line(*CHANGES)
    with BoardLink.open(made.path, **PATIENT) as link:
        assert link.hasten(FAST, USUAL) == FAST
        assert made.board_rate == FAST
        run_samples(link, 3)
    with BoardLink.open(made.path, **PATIENT) as link:
        run_samples(link, 1, seed=2)
    assert made.board_rate == USUAL


@pytest.mark.parametrize(
    ("flags", "baud"),
    [((), FAST), (CHANGES, 250_000), (CHANGES, 100), (CHANGES, USUAL)],
    ids=["its UART stays", "another rate", "no rate", "what it has"],
)
def test_what_the_board_does_not_make_stays(line, flags, baud):
    made = line(*flags)
    with BoardLink.open(made.path, **PATIENT) as link:
        assert link.hasten(baud, USUAL) == USUAL
        run_samples(link, 2)
    assert made.board_rate == USUAL


def test_where_nothing_comes_through_both_ends_go_back(line):
    """A bridge or a cable that does not carry the rate that both ends agreed on."""
    made = line(*CHANGES)
    made.most = USUAL
    with BoardLink.open(made.path, **PATIENT) as link:
        assert link.hasten(FAST, USUAL) == USUAL
        run_samples(link, 2)
    assert made.board_rate == USUAL


def test_a_host_that_vanishes_leaves_a_board_that_comes_back(line):
    made = line(*CHANGES)
    link = BoardLink.open(made.path, **PATIENT)
    assert link.hasten(FAST, USUAL) == FAST
    link._exchange.port.close()
    assert made.board_rate == FAST
    with BoardLink.open(made.path, **PATIENT) as again:
        run_samples(again, 1)
    assert made.board_rate == USUAL


def test_firmware_of_before_refuses_and_is_understood(line, monkeypatch):
    """Its refusal is that of an unknown request."""
    monkeypatch.setattr("edgeq.harness.link.BAUD", 0x3F)
    with BoardLink.open(line(*CHANGES).path, timeout=HANG_S) as link:
        assert link.hasten(FAST, USUAL) == USUAL
        run_samples(link, 1)

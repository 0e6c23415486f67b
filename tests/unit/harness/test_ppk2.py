"""The PPK2 driver against a fake kit that answers byte for byte, and against a broken one."""

import time

import numpy as np
import pytest
from fake_meter import CALIBRATION, FakePpk2, ppk2_amps, ppk2_word
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput, Meter
from edgeq.harness.align import inference_spans
from edgeq.harness.meters import MeterRequest, Session, open_meter
from edgeq.harness.meters import meter as meter_module
from edgeq.harness.power_trace import PowerTrace

RATE = 100_000
VOLTS = 3.0


@pytest.fixture
def _impatient(monkeypatch):
    monkeypatch.setattr(meter_module, "SILENCE_S", 1.5)
    monkeypatch.setattr("edgeq.harness.meters.ppk2.ANSWER_S", 1.5)


def capture(fake: FakePpk2, samples: int) -> PowerTrace:
    def work(session: Session) -> None:
        while session.seconds() < (samples - 0.5) / RATE:
            time.sleep(0.001)

    with fake:
        meter = open_meter("ppk2", MeterRequest(fake.path, VOLTS))
        try:
            return meter.capture(work)
        finally:
            meter.close()


def words(pieces: list[tuple[int, int, int, int]]) -> bytes:
    """(adc, range, level, samples) of each piece."""
    flat = [(adc, band, level) for adc, band, level, samples in pieces for _ in range(samples)]
    return b"".join(ppk2_word(a, b, k, level) for k, (a, b, level) in enumerate(flat))


pieces_of_any_kind = st.lists(
    st.tuples(
        st.integers(100, 0x3FFF), st.integers(0, 4), st.integers(0, 255), st.integers(1, 300)
    ),
    min_size=1,
    max_size=10,
)


@given(pieces_of_any_kind)
def test_the_energy_of_any_waveform_is_recovered(pieces):
    stream = words(pieces)
    trace = capture(FakePpk2(stream), len(stream) // 4)
    planted = sum(ppk2_amps(adc, band, VOLTS) * n for adc, band, _, n in pieces) * VOLTS / RATE
    levels = [level & 1 for _, _, level, n in pieces for _ in range(n)]
    changes = np.diff(levels)
    everything = np.array([0]), np.array([len(levels)])
    assert trace.joules(*everything)[0] == pytest.approx(planted, rel=1e-6)
    assert trace.falls.tolist() == (np.flatnonzero(changes < 0) + 1).tolist()
    assert trace.rises is not None
    assert trace.rises.tolist() == (np.flatnonzero(changes > 0) + 1).tolist()
    assert not trace.lost


IDLE, BUSY = (800, 2, 0, 500), (9000, 3, 1, 700)


def test_levels_are_inferences():
    trace = capture(FakePpk2(words([IDLE, BUSY, IDLE, BUSY, IDLE])), 2900)
    starts, ends = inference_spans(trace, 2)
    assert (starts.tolist(), ends.tolist()) == ([500, 1700], [1200, 2400])
    with pytest.raises(Meter, match="missing marker edge: 2 falling and 2 rising edges for 3"):
        inference_spans(trace, 3)
    with pytest.raises(Meter, match="extra marker edge"):
        inference_spans(trace, 1)
    blink = (800, 2, 1, 500), (800, 2, 0, 1)
    marked = [blink[0], blink[1], (9000, 3, 1, 700), blink[1], blink[0]]
    pulses = capture(FakePpk2(words(marked)), 1700)
    starts, ends = inference_spans(pulses, 1)
    assert (starts.tolist(), ends.tolist()) == ([500], [1201])
    late = capture(FakePpk2(words([IDLE, BUSY, IDLE, BUSY])), 2400)
    with pytest.raises(Meter, match="missing marker edge: 1 falling and 2 rising"):
        inference_spans(late, 2)
    early = capture(FakePpk2(words([BUSY, IDLE, BUSY])), 1900)
    with pytest.raises(Meter, match="do not alternate"):
        inference_spans(early, 1)


@pytest.mark.parametrize("at", [400, 401, 402, 403])
def test_dropped_bytes_are_named(at):
    stream = words([IDLE, BUSY, IDLE])
    fake = FakePpk2(stream[:at] + stream[at + 1 :])
    trace = capture(fake, 1000)
    with pytest.raises(Meter, match="PPK2 lost data: bytes were dropped near sample"):
        trace.refuse_losses()


def test_blocks_that_the_counter_hides_are_missed_by_their_rate():
    """The kit drops 512 words at once, a multiple of its counter: only passing time tells."""

    def work(session: Session) -> None:
        while session.seconds() < 0.2:
            time.sleep(0.001)
        time.sleep(0.9)  # of which nothing arrives

    with FakePpk2(words([IDLE] * 40)) as fake:
        meter = open_meter("ppk2", MeterRequest(fake.path, VOLTS))
        trace = meter.capture(work)
        meter.close()
    with pytest.raises(Meter, match=r"20000 samples in .* s, 100000 a second were due"):
        trace.refuse_losses()


def test_a_kit_that_vanishes():
    fake = FakePpk2(words([IDLE] * 20))
    fake.vanish_at = 2000
    with pytest.raises(Meter, match=r"PPK2: /dev/pts/\d+: the port is gone"):
        capture(fake, 10_000)


@pytest.mark.usefixtures("_impatient")
def test_a_kit_that_falls_silent():
    with pytest.raises(Meter, match="PPK2 fell silent after 500 samples"):
        capture(FakePpk2(words([IDLE])), 10_000)


@pytest.mark.usefixtures("_impatient")
def test_a_deaf_kit_and_one_that_forgot_its_calibration():
    fake = FakePpk2(b"")
    fake.deaf = True
    with pytest.raises(Meter, match=r"did not send its calibration within 1\.5 s: it is"):
        capture(fake, 1)
    with pytest.raises(Meter, match=r"it sent b'ugh"):
        capture(FakePpk2(b"", "ugh, what?"), 1)
    without = "\n".join(line for line in CALIBRATION.splitlines() if not line.startswith("GS3"))
    with pytest.raises(Meter, match="calibration without GS3"):
        capture(FakePpk2(b"", without + "\n"), 1)
    with pytest.raises(Meter, match="zero ohms"):
        capture(FakePpk2(b"", CALIBRATION.replace("R2: 10.15", "R2: 0")), 1)


def test_a_kit_without_gains_of_the_user_has_gains_of_one():
    without = "\n".join(line for line in CALIBRATION.splitlines() if not line.startswith("UG"))
    trace = capture(FakePpk2(words([IDLE]), without + "\n"), 500)
    assert trace.current_a == pytest.approx(ppk2_amps(IDLE[0], IDLE[1], VOLTS))


def test_it_is_told_the_volts_and_switched_off_at_the_end():
    fake = FakePpk2(words([IDLE]))
    capture(fake, 500)
    heard = bytes(fake.bytes_heard)
    assert bytes((0x11, 2, 0x0D, 3000 >> 8, 3000 & 0xFF, 0x0C, 1)) in heard
    assert heard.endswith(bytes((0x07, 0x0C, 0)))


def test_what_it_cannot_do_is_refused():
    with pytest.raises(BadInput, match=r"0\.8 to 5\.0 V, not --volts 12"):
        open_meter("ppk2", MeterRequest("/dev/null", 12))
    with pytest.raises(BadInput, match="100000 Hz, not --meter-rate 10"):
        open_meter("ppk2", MeterRequest("/dev/null", 3.3, 10))
    with pytest.raises(Meter, match="--meter-port"):
        open_meter("ppk2", MeterRequest())

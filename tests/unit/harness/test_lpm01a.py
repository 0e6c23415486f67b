"""The LPM01A driver against a fake that speaks as ST's manual says, and against a broken one."""

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
from fake_meter import FakeLpm01a, Script, binary_sample, text_sample
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput, Meter
from edgeq.harness.align import inference_spans
from edgeq.harness.meters import MeterRequest, Session, open_meter
from edgeq.harness.meters import meter as meter_module
from edgeq.harness.power_trace import PowerTrace

TEXT, BINARY = 1000, 10_000
FORMATS = pytest.mark.parametrize("rate", [TEXT, BINARY], ids=["text", "binary"])


@pytest.fixture
def _impatient(monkeypatch):
    """The deadlines are what is tested, not how long they are."""
    monkeypatch.setattr(meter_module, "SILENCE_S", 1.5)
    monkeypatch.setattr("edgeq.harness.meters.lpm01a.ANSWER_S", 1.5)
    monkeypatch.setattr("edgeq.harness.meters.lpm01a.CALIBRATION_S", 2.0)


def capture(script: Script, samples: int | None = None, volts: float = 3.3) -> PowerTrace:
    """One capture of so many samples; all that the script holds by default."""
    wanted = len(script.amps) if samples is None else samples

    def work(session: Session) -> None:
        while session.seconds() < (wanted - 0.5) / script.rate_hz:
            time.sleep(0.001)

    with FakeLpm01a(script) as fake:
        meter = open_meter("lpm01a", MeterRequest(fake.path, volts, script.rate_hz))
        try:
            return meter.capture(work)
        finally:
            meter.close()


def steady(rate: int, samples: int = 2500, edges: tuple[int, ...] = (300, 700)) -> Script:
    """Half a milliampere, which both formats can say."""
    return Script([2.0**-11] * samples if rate == BINARY else [5e-4] * samples, edges, rate)


def test_what_the_manual_gives_as_examples():
    assert text_sample(640.9e-6) == b"6409-07\r\n"
    assert binary_sample(0x2A0 * 16**-5) == b"\x52\xa0"
    for rate in (TEXT, BINARY):
        trace = capture(Script([0x2A0 * 16**-5 if rate == BINARY else 640.9e-6] * 20, (), rate))
        assert trace.current_a == pytest.approx([640.9e-6] * 20, rel=1e-3)


def test_the_meter_is_set_up_in_the_manual_s_order():
    script = Script([1e-3] * 10, rate_hz=TEXT)
    with FakeLpm01a(script) as fake:
        meter = open_meter("lpm01a", MeterRequest(fake.path, 1.8, TEXT))
        meter.capture(lambda _session: None)
        meter.close()
        assert fake.commands == [
            "htc", "volt 1800m", "freq 1000", "acqtime inf", "trigdelay 0", "trigsrc sw",
            "eventsrc d7 fal", "output current", "format ascii_dec", "funcmode optim", "pwr on",
            "volt get", "start", "stop", "pwr off", "hrc",
        ]  # fmt: skip


# Values that the format can say exactly; the meter's own rounding is not the driver's.
text_values = st.builds(lambda m, e: m * 10.0**e, st.integers(1, 9999), st.integers(-9, -5))
binary_values = st.builds(lambda m, n: m * 16.0**-n, st.integers(1, 0xFFF), st.integers(4, 8))


@FORMATS
@given(data=st.data())
def test_the_energy_of_any_waveform_is_recovered(rate, data):
    value = binary_values if rate == BINARY else text_values
    pieces = data.draw(st.lists(st.tuples(value, st.integers(1, 400)), min_size=1, max_size=8))
    amps = [level for level, length in pieces for _ in range(length)]
    edges = data.draw(st.lists(st.integers(0, len(amps)), min_size=1, max_size=8).map(sorted))
    edges = edges[: len(edges) // 2 * 2]
    every = data.draw(st.integers(1, 500)) * rate // 1000
    trace = capture(Script(amps, edges, rate, stamp_every=every))
    assert not trace.lost
    assert len(trace.current_a) == len(amps)
    assert trace.falls.tolist() == edges
    for start, end in itertools.pairwise(edges):
        planted = sum(amps[start:end]) * 3.3 / rate
        spans = np.array([start]), np.array([end])
        assert trace.joules(*spans)[0] == pytest.approx(planted, rel=1e-6, abs=1e-15)
        assert trace.coulombs(*spans)[0] == pytest.approx(planted / 3.3, rel=1e-6, abs=1e-15)


@FORMATS
def test_levels_that_the_format_rounds_keep_their_energy_within_the_rounding(rate):
    rng = np.random.default_rng(3)
    amps = (1e-3 * rng.uniform(1, 12, 3000)).tolist()
    trace = capture(Script(amps, (), rate))
    planted, found = sum(amps) * 3.3 / rate, trace.joules(np.array([0]), np.array([3000]))[0]
    assert found == pytest.approx(planted, rel=1e-3)


def drop(at: int, count: int = 1):
    return lambda data: data[:at] + data[at + count :]


@FORMATS
@pytest.mark.parametrize("at", [0, 3, 6])
def test_a_dropped_byte_is_named(rate, at):
    script = replace(steady(rate), mutate=drop(after(rate, 120) + at))
    trace = capture(script, samples=1000)
    with pytest.raises(Meter, match=r"LPM01A lost data: (a line that|a byte|\d+ samples)"):
        trace.refuse_losses()


@given(data=st.data())
def test_no_dropped_run_of_bytes_goes_unseen(data):
    """Whole samples within a millisecond are below the meter's own time; all else shows."""
    rate = data.draw(st.sampled_from([TEXT, BINARY]))
    size, unseen = (2, (0,)) if rate == BINARY else (9, (0, 1, 8))  # 1: one of CR LF will do
    at = data.draw(st.integers(9, 1500 * size))
    count = data.draw(st.integers(1, 400))
    trace = capture(replace(steady(rate, edges=()), mutate=drop(at, count)), samples=1000)
    if count // size > 3 + rate / 1000 or count % size not in unseen:
        assert trace.lost


@FORMATS
def test_a_full_buffer_is_an_overrun(rate):
    trace = capture(replace(steady(rate), buffer_percent=100))
    with pytest.raises(Meter, match=r"overrun: the meter's buffer was full at 0\.000 s"):
        trace.refuse_losses()


def after(rate: int, samples: int) -> int:
    """The byte after so many samples."""
    stamp, size = (9, 2) if rate == BINARY else (len("TimeStamp: 000s 000ms, buff 00%\r\n"), 9)
    return stamp + samples * size


def insert(at: int, what: bytes):
    return lambda data: data[:at] + what + data[at:]


@pytest.mark.parametrize(
    ("rate", "what"),
    [(TEXT, b"Error: overcurrent\r\n"), (BINARY, b"\xf0\xf5\xff\xff")],
    ids=["text", "binary"],
)
def test_overcurrent_ends_the_capture(rate, what):
    script = steady(rate)
    with pytest.raises(Meter, match=r"LPM01A reports overcurrent after \d+ samples: .*50 mA"):
        capture(replace(script, mutate=insert(after(rate, 12), what)))


@pytest.mark.parametrize(
    ("rate", "what"),
    [(TEXT, b"PowerShield > error: data overrun\r\n"), (BINARY, b"\xf0\xf1data overrun\xff\xff")],
    ids=["text", "binary"],
)
def test_an_error_frame_is_quoted(rate, what):
    with pytest.raises(Meter, match=r"reports an error after \d+ samples: '.*data overrun'"):
        capture(replace(steady(rate), mutate=insert(after(rate, 20), what)))


@FORMATS
def test_garbage_is_quoted_and_refused(rate):
    noise = bytes(range(0xF6, 0x100)) * 3 if rate == BINARY else b"\x80\x81 what?\r\n"
    trace = capture(replace(steady(rate), mutate=insert(after(rate, 20), noise)), 1000)
    with pytest.raises(Meter, match=r"a frame of unknown|a byte|a line that is no sample"):
        trace.refuse_losses()


@FORMATS
def test_a_missing_edge_is_refused_and_an_extra_one_too(rate):
    script = steady(rate, edges=(300, 700, 900, 1100))
    trace = capture(script)
    starts, ends = inference_spans(trace, 2)
    assert (starts.tolist(), ends.tolist()) == ([300, 900], [700, 1100])
    trace = capture(replace(script, edges=(300, 700, 1100)))
    with pytest.raises(Meter, match="missing marker edge: 3 falling edges for 2 inferences"):
        inference_spans(trace, 2)
    trace = capture(replace(script, edges=(300, 700, 701, 900, 1100)))
    with pytest.raises(Meter, match="extra marker edge: 5 falling edges for 2 inferences"):
        inference_spans(trace, 2)
    with pytest.raises(Meter, match="levels, and this meter sees falling edges only"):
        inference_spans(replace(trace, falls=trace.falls[:2]), 2)


@FORMATS
def test_a_meter_that_vanishes(rate):
    script = replace(steady(rate), vanish_at=1500)
    with pytest.raises(Meter, match=r"LPM01A: /dev/pts/\d+: the port is gone"):
        capture(script)


@pytest.mark.usefixtures("_impatient")
@FORMATS
def test_a_meter_that_falls_silent(rate):
    script = steady(rate)
    with pytest.raises(Meter, match="fell silent after 2500 samples"):
        capture(script, samples=5000)


@pytest.mark.usefixtures("_impatient")
def test_a_meter_that_does_not_stop():
    with pytest.raises(Meter, match=r"did not end its capture|fell silent"):
        capture(replace(steady(TEXT), stubborn=True))


@pytest.mark.usefixtures("_impatient")
def test_a_deaf_meter_is_not_waited_for():
    with pytest.raises(Meter, match=r"did not acknowledge 'htc' within 1\.5 s: it is silent"):
        capture(replace(steady(TEXT), deaf=True))


@pytest.mark.parametrize("command", ["volt 3300m", "eventsrc d7 fal", "pwr on", "start"])
def test_a_refused_command_is_named(command):
    answer = f"\r\nPowerShield > error {command}: not now\r\n".encode()
    with pytest.raises(Meter, match=f"refused '{command}': '.*not now'"):
        capture(replace(steady(TEXT), answers={command: answer}))


@pytest.mark.usefixtures("_impatient")
def test_garbage_for_an_answer_is_quoted():
    with pytest.raises(Meter, match=r"'volt 3300m' within 2 s: it sent b'.*Hello"):
        capture(replace(steady(TEXT), answers={"volt 3300m": b"Hello, I am a modem"}))


def test_a_capture_that_a_killed_host_left_running_is_stopped_first():
    trace = capture(replace(steady(TEXT), left_running=True))
    assert not trace.lost
    assert len(trace.current_a) == 2500


def test_an_old_firmware_without_volt_get_keeps_the_volts_it_was_set_to():
    answers = {"volt get": b"\r\nPowerShield > error volt get\r\n"}
    trace = capture(replace(steady(TEXT), answers=answers), volts=2.5)
    assert set(trace.voltage_v) == {2.5}
    answers = {"volt get": b"\r\nPowerShield > ack volt get 2492-03\r\n"}
    trace = capture(replace(steady(TEXT), answers=answers), volts=2.5)
    assert trace.voltage_v == pytest.approx(2.492)


def test_an_error_of_the_work_ends_the_capture_and_the_supply():
    script = steady(TEXT)
    with FakeLpm01a(script) as fake:
        meter = open_meter("lpm01a", MeterRequest(fake.path, 3.3, TEXT))

        def work(session: Session) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            meter.capture(work)
        meter.close()
        assert fake.commands[-3:] == ["stop", "pwr off", "hrc"]


@pytest.mark.parametrize(
    ("request_", "match"),
    [
        (MeterRequest("/dev/null", 5.0), r"supplies 1\.8 to 3\.3 V, not --volts 5"),
        (MeterRequest("/dev/null", 3.3, 44_100), "not --meter-rate 44100"),
    ],
)
def test_what_it_cannot_do_is_refused_before_it_is_opened(request_, match):
    with pytest.raises(BadInput, match=match):
        open_meter("lpm01a", request_)


def test_an_absent_meter():
    with pytest.raises(Meter, match="/dev/no-meter does not exist") as error:
        open_meter("lpm01a", MeterRequest("/dev/no-meter"))
    assert error.value.exit_code == 5
    with pytest.raises(Meter, match="--meter-port"):
        open_meter("lpm01a", MeterRequest())

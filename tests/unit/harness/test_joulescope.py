"""The Joulescope driver against a package of the same shape: it is no serial port to fake."""

import sys
import types

import numpy as np
import pytest

from edgeq.errors import BadInput, Meter
from edgeq.harness.align import inference_spans
from edgeq.harness.meters import METERS, MeterRequest, Session, open_meter

RATE = 10_000


class Buffer:
    """As joulescope's StreamBuffer: numbered samples, of which only the newest are kept."""

    def __init__(self, signals: dict[str, np.ndarray], block: int, kept: int) -> None:
        self.signals, self.block, self.kept = signals, block, kept
        self.end = 0

    @property
    def sample_id_range(self) -> tuple[int, int]:
        self.end = min(self.end + self.block, len(self.signals["current"]))
        return max(0, self.end - self.kept), self.end

    def samples_get(self, start: int, stop: int, fields: list[str]) -> dict[str, object]:
        assert start >= max(0, self.end - self.kept)
        return {"signals": {f: {"value": self.signals[f][start:stop]} for f in fields}}


class Device:
    """As joulescope's Device, as far as the driver goes."""

    def __init__(self, buffer: Buffer) -> None:
        self.stream_buffer = buffer
        self.told: list[object] = []

    def parameter_set(self, name: str, value: object) -> None:
        self.told.append((name, value))

    def __getattr__(self, name: str) -> object:
        if name not in ("open", "start", "stop", "close"):
            raise AttributeError(name)
        return lambda: self.told.append(name)


def signals(samples: int = 5000) -> dict[str, np.ndarray]:
    at = np.arange(samples)
    busy = (at // 1000) % 2 == 1
    return {
        "current": np.where(busy, 0.02, 0.005).astype(np.float32),
        "voltage": (3.3 - 1e-5 * at).astype(np.float32),
        "current_lsb": busy.astype(np.uint8),
    }


def plug_in(monkeypatch: pytest.MonkeyPatch, *devices: Device) -> None:
    package = types.ModuleType("joulescope")
    package.scan = lambda **_: list(devices)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "joulescope", package)


def until(seconds: float):
    def work(session: Session) -> None:
        while session.seconds() < seconds:
            session.wait(0.001)

    return work


def test_current_volts_and_marker_come_from_the_instrument(monkeypatch):
    planted = signals()
    device = Device(Buffer(planted, block=733, kept=3000))
    plug_in(monkeypatch, device)
    meter = open_meter("joulescope", MeterRequest(rate_hz=RATE))
    trace = meter.capture(until(0.49))
    meter.close()
    starts, ends = inference_spans(trace, 2)
    assert (starts.tolist(), ends.tolist()) == ([1000, 3000], [2000, 4000])
    power = planted["current"].astype(float) * planted["voltage"]
    assert trace.joules(starts, ends) == pytest.approx(
        [power[1000:2000].sum() / RATE, power[3000:4000].sum() / RATE], rel=1e-6
    )
    assert ("sampling_frequency", RATE) in device.told
    assert ("current_lsb", "gpi0") in device.told
    assert device.told[-2:] == ["stop", "close"]


class RealBuffer:
    """The package's own buffer, into which a device that streams puts a block at every look."""

    def __init__(self, planted: dict[str, np.ndarray], block: int) -> None:
        why = "needs the package of edgeq[joulescope]"
        stream_buffer = pytest.importorskip("joulescope.v1.stream_buffer", reason=why)
        self.buffer = stream_buffer.StreamBuffer(1, RATE, "js220", output_frequency=RATE)
        for place, buffer in self.buffer.buffers.items():
            buffer.active = place in ((1, 0), (2, 0), (5, 0))
        self.planted, self.block, self.sent = planted, block, 0

    @property
    def sample_id_range(self) -> tuple[int, int]:
        signals = {(1, 0): "current", (2, 0): "voltage", (5, 0): "current_lsb"}
        for (field, index), name in signals.items():
            data = self.planted[name][self.sent : self.sent + self.block]
            value = {"field_id": field, "index": index, "sample_id": self.sent, "data": data}
            if name == "current_lsb":
                value["data"] = np.packbits(data, bitorder="little")
            if len(data):
                self.buffer.insert(name, value | {"sample_rate": RATE, "decimate_factor": 1})
        self.sent += self.block
        start, end = self.buffer.sample_id_range
        return start, end

    def samples_get(self, start: int, stop: int, fields: list[str]) -> object:
        return self.buffer.samples_get(start, stop, fields=fields)


def test_the_names_and_the_order_are_those_of_the_real_package(monkeypatch):
    planted = signals(4800)
    plug_in(monkeypatch, Device(RealBuffer(planted, block=400)))
    trace = open_meter("joulescope", MeterRequest(rate_hz=RATE)).capture(until(0.46))
    starts, ends = inference_spans(trace, 2)
    assert (starts.tolist(), ends.tolist()) == ([1000, 3000], [2000, 4000])
    assert trace.current_a[:4400] == pytest.approx(planted["current"][:4400])
    assert not trace.lost


def test_dropped_samples_and_a_slow_host_are_named(monkeypatch):
    planted = signals()
    planted["current"][1500:1510] = np.nan
    plug_in(monkeypatch, Device(Buffer(planted, block=500, kept=3000)))
    trace = open_meter("joulescope", MeterRequest(rate_hz=RATE)).capture(until(0.49))
    with pytest.raises(Meter, match=r"10 samples were dropped near sample \d+"):
        trace.refuse_losses()
    plug_in(monkeypatch, Device(Buffer(signals(), block=1000, kept=300)))
    trace = open_meter("joulescope", MeterRequest(rate_hz=RATE)).capture(until(0.1))
    with pytest.raises(Meter, match=r"overrun: \d+ samples were not fetched in time"):
        trace.refuse_losses()


def test_an_instrument_that_fails_in_the_middle(monkeypatch):
    device = Device(Buffer(signals(), block=500, kept=3000))

    def unplugged(*_: object, **__: object) -> None:
        raise RuntimeError("device removed")

    plug_in(monkeypatch, device)
    meter = open_meter("joulescope", MeterRequest(rate_hz=RATE))
    device.stream_buffer.samples_get = unplugged  # type: ignore[method-assign]
    with pytest.raises(Meter, match=r"Joulescope: RuntimeError\('device removed'\)"):
        meter.capture(until(0.1))


def test_none_several_or_no_package(monkeypatch):
    plug_in(monkeypatch)
    with pytest.raises(Meter, match="no Joulescope is attached"):
        open_meter("joulescope", MeterRequest())
    several = [Device(Buffer(signals(), 1, 1)) for _ in range(2)]
    plug_in(monkeypatch, *several)
    with pytest.raises(Meter, match="2 Joulescopes are attached"):
        open_meter("joulescope", MeterRequest())
    monkeypatch.setitem(sys.modules, "joulescope", None)
    with pytest.raises(Meter, match=r"pip install 'edgeq\[joulescope\]'") as error:
        open_meter("joulescope", MeterRequest())
    assert error.value.exit_code == 5
    assert METERS["joulescope"].extra == "joulescope"


def test_what_it_cannot_do_is_refused():
    with pytest.raises(BadInput, match="leave --volts out"):
        open_meter("joulescope", MeterRequest(volts=3.3))
    with pytest.raises(BadInput, match="not --meter-rate 7"):
        open_meter("joulescope", MeterRequest(rate_hz=7))

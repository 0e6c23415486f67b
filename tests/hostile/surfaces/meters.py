"""What current meters send: their samples and edges, their answers, their calibration."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.harness.windows import Ran, reduce_window
from tests.hostile import mutate
from tests.hostile.oracle import Case, Place, Surface
from tests.hostile.surfaces.lines import Stand
from tests.unit.harness import fake_meter

RATE, VOLTS, RUNS, BUSY = 1000, 3.3, 4, 60
IDLE = 1010


@dataclass
class Streams:
    """The bytes of one good capture, by format, and what stands in for the system."""

    text: bytes
    binary: bytes
    words: bytes
    stand: Stand


def _streams(place: Place) -> Streams:
    from edgeq.harness.meters import lpm01a, ppk2, serial_meter

    amps, edges = _capture()
    found = {}
    for binary in (False, True):
        script = fake_meter.Script(amps, edges, RATE)
        meter = fake_meter.FakeLpm01a(script)
        meter.binary = binary
        found[binary] = b"".join(meter.pieces(amps, edges))
        meter.vanish()
    ends = {False: b"end\r\n", True: b"\xf0\xf4\xff\xff"}
    stand = Stand(lpm01a, ppk2, serial_meter)
    serial_meter.Port = type("Port", (), {"open": staticmethod(stand.opened)})
    return Streams(found[False] + ends[False], found[True] + ends[True], _words(), stand)


def _capture() -> tuple[list[float], list[int]]:
    """A second idle, then inferences; edges in pairs, for a meter of falling edges."""
    amps, edges = [0.002] * IDLE, []
    for _ in range(RUNS):
        edges += [len(amps), len(amps) + BUSY]
        amps += [0.012] * BUSY + [0.002] * 20
    return amps, edges


def _words() -> bytes:
    amps, edges = _capture()
    levels = np.zeros(len(amps), int)
    for start, end in zip(edges[0::2], edges[1::2], strict=True):
        levels[start:end] = 1
    return b"".join(fake_meter.ppk2_word(2000, 1, i, int(level)) for i, level in enumerate(levels))


def _pieces(rng: random.Random, data: bytes) -> list[bytes]:
    """As a port hands them over."""
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def _stream_changed(rng: random.Random, data: bytes) -> bytes:
    """Local damage, or blocks lost, doubled, or foreign."""
    if rng.random() < 0.5:
        return mutate.bytes_changed(rng, data)
    out, at = bytearray(data), rng.randrange(len(data))
    size = rng.choice((4, 64, 256, 2048, 4096))
    kind = rng.randrange(5)
    if kind == 0:
        del out[at : at + size]
    elif kind == 1:
        out[at:at] = out[at : at + size]
    elif kind == 2:
        out[at : at + size] = rng.randbytes(size)
    elif kind == 3:
        odd = (
            b"error \x1b[2J\r\n",
            b"overcurrent\r\n",
            b"9999+99\r\n",
            b"TimeStamp: 9" + b"9" * 5000,
        )
        frames = (b"\xf0\xf1\x1b[31m\xff\xff", b"\xf0\xf5\xff\xff", b"\xf0\xf3" + b"\xff" * 7)
        out[at:at] = rng.choice(
            (*odd, *frames, b"9999-99\r\n", b"event 00 ris\r\n" * 9, b"\xf0" * 99)
        )
    else:
        out[at:at] = bytes(size)
    return bytes(out)


def _reduced(stream: Any) -> str:
    trace = stream.trace("meter", "2026-01-01T00:00:00+00:00")
    reduce_window(trace, [Ran(0, BUSY * 640)] * RUNS, 0.2, 640 * int(trace.rate_hz))
    return ""


def _lpm01a_case(rng: random.Random, base: Streams, place: Place) -> Case:
    from edgeq.harness.meters.lpm01a_stream import BinaryStream, TextStream

    kind, data = rng.choice(((TextStream, base.text), (BinaryStream, base.binary)))
    pieces = _pieces(rng, _stream_changed(rng, data))

    def use() -> str:
        stream = kind(RATE, VOLTS)
        for piece in pieces:
            stream.feed(piece)
        return _reduced(stream)

    return use


def _ppk2_case(rng: random.Random, base: Streams, place: Place) -> Case:
    from edgeq.harness.meters.ppk2 import Calibration, WordStream

    text, words = fake_meter.CALIBRATION, base.words
    if rng.random() < 0.4:
        text = mutate.bytes_changed(rng, text.encode()).decode("latin-1")
        if rng.random() < 0.4:
            odd = rng.choice(("0", "1e999", "-1e308", "1.2.3", "9" * 5000, ".", "1e-320"))
            key = rng.choice(("R0: ", "GS1: ", "O2: ", "UG4: "))
            text = text.replace(key, key + odd + "\n" + key)
    else:
        words = _stream_changed(rng, words)
    pieces = _pieces(rng, words)

    def use() -> str:
        stream = WordStream(Calibration.parse(text), VOLTS)
        stream.rate_hz = RATE
        for piece in pieces:
            stream.feed(piece)
        return _reduced(stream)

    return use


def _dialogue_case(rng: random.Random, base: Streams, place: Place) -> Case:
    """What a meter answers when it is opened."""
    from edgeq.harness.meters import MeterRequest, open_meter

    name = rng.choice(("lpm01a", "ppk2"))
    odd = (
        b"",
        b"error\r\n",
        b"\x1b[2Jack\r\n",
        b"PowerShield > error htc: \x1b[31m\r\n",
        b"x" * 9000,
    )
    volts = rng.choice((b" 3300-03", b" 9999+99", b" ----", b" 0000-00", b" 3300-99"))

    def answer(data: bytes) -> bytes:
        command = data.strip()
        if name == "ppk2":
            said = fake_meter.CALIBRATION.encode() if b"\x19" in data else b""
        else:
            end = volts if command == b"volt get" else b""
            said = b"\r\nPowerShield > ack " + command + end + b"\r\n\r\n"
        if rng.random() < 0.2:
            return rng.choice((*odd, mutate.bytes_changed(rng, said)))
        return said

    base.stand.plug(answer)
    request = MeterRequest(
        "/dev/case", None, rng.choice((None, 100_000)) if name == "lpm01a" else None
    )

    def use() -> str:
        open_meter(name, request).close()
        return ""

    return use


def _joulescope_case(rng: random.Random, base: Any, place: Place) -> Case:
    """The arrays that the maker's package hands over."""
    from edgeq.harness.meters.joulescope import Signals

    amps, edges = _capture()
    current, level = np.array(amps, np.float32), np.zeros(len(amps), np.uint8)
    for start, end in zip(edges[0::2], edges[1::2], strict=True):
        level[start:end] = 1
    voltage = np.full(len(amps), 3.0, np.float32)
    for _ in range(rng.choice((1, 2, 3))):
        array = rng.choice((current, voltage, level))
        at, size = rng.randrange(len(amps)), rng.choice((1, 5, 400))
        odd = (
            rng.choice((0, 1, 255))
            if array is level
            else rng.choice((*mutate.FLOATS[:4], 1e30, float("nan")))
        )
        array[at : at + size] = odd
    cuts = sorted(rng.randrange(len(amps)) for _ in range(rng.randrange(4)))
    if rng.random() < 0.1:
        current, level = current[: rng.randrange(len(amps))], level.astype(float)

    def use() -> str:
        signals = Signals(RATE)
        for start, end in zip([0, *cuts], [*cuts, len(amps)], strict=True):
            signals.feed(current[start:end], voltage[start:end], level[start:end], end)
        return _reduced(signals)

    return use


def _nothing(place: Place) -> None:
    """A surface whose cases need no base."""


SURFACES = (
    Surface("lpm01a", _streams, _lpm01a_case),
    Surface("ppk2", _streams, _ppk2_case),
    Surface("meter_dialogue", _streams, _dialogue_case),
    Surface("joulescope", _nothing, _joulescope_case),
)

"""Nordic Power Profiler Kit II on its USB serial port.

The public wire format (Nordic's Power Profiler app describes it in the open) is spoken here with
plain pyserial rather than through ppk2-api: that package is GPL-2, reads without deadlines, and
drops the counter that tells of lost samples. Commands are single bytes with arguments; the kit
answers GET_META_DATA with its calibration as text up to END, then sends words of 32 bits, least
significant byte first: ADC 14 bits, range 3, unused 1, counter 6, eight digital inputs.
Nothing here has met the real kit.
"""

import contextlib
import re
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import BadInput, Meter
from edgeq.harness.meters.meter import MeterRequest, Pump, Recording, Work, now
from edgeq.harness.meters.serial_meter import MeterPort
from edgeq.harness.power_trace import PowerTrace

TITLE = "PPK2"
USB_IDS = ("1915:c00a",)
BAUD = 115_200  # of a USB port: any will do
RATE_HZ = 100_000
LEAST_VOLTS, MOST_VOLTS = 0.8, 5.0
DEFAULT_VOLTS = 3.3
START, STOP, SUPPLY, REGULATOR, MODE, META = 0x06, 0x07, 0x0C, 0x0D, 0x11, 0x19
SOURCE_MODE = 2
RANGES = 5
ADC_VOLTS = 1.8 / 163_840  # at the shunt, a count of 4 x the 14-bit word
COUNTER = 64
MOST_FACTOR = 1e9  # of a calibration; the real ones are below 10,000
ANSWER_S = 3.0
MARKER_INPUT = 0  # D0
_FACTOR = re.compile(r"^(R|GS|GI|O|S|I|UG)([0-4]):\s*(-?[\d.]+(?:[eE][+-]?\d+)?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Calibration:
    """Factors of the five ranges, (5,) each, by the kit's own names."""

    r: NDArray[np.float64]
    gs: NDArray[np.float64]
    gi: NDArray[np.float64]
    o: NDArray[np.float64]
    s: NDArray[np.float64]
    i: NDArray[np.float64]
    ug: NDArray[np.float64]

    @classmethod
    def parse(cls, text: str) -> "Calibration":
        """From the text of GET_META_DATA. Raises Meter when a factor is missing."""
        found = {("ug", k): "1" for k in range(RANGES)}  # the user's gain: not every kit has one
        found |= {(name.lower(), int(k)): value for name, k, value in _FACTOR.findall(text)}
        names = ("r", "gs", "gi", "o", "s", "i", "ug")
        missing = [f"{n.upper()}{k}" for n in names for k in range(RANGES) if (n, k) not in found]
        if missing:
            raise Meter(
                f"{TITLE} sent a calibration without {', '.join(missing[:5])}; unplug it and plug "
                "it in again"
            )
        rows = {n: np.array([_factor(found[n, k]) for k in range(RANGES)]) for n in names}
        if not (rows["r"] > 0).all():
            raise Meter(f"{TITLE} sent a calibration with a shunt of zero ohms")
        return cls(**rows)

    def amps(self, words: NDArray[np.uint32], volts: float) -> NDArray[np.float64]:
        """The current of each word, by the formula of Nordic's own application."""
        k = np.minimum((words >> 14) & 7, RANGES - 1)
        raw = ((words & 0x3FFF) * 4.0 - self.o[k]) * (ADC_VOLTS / self.r[k])
        gained = raw * (self.gs[k] * raw + self.gi[k])
        return np.asarray(self.ug[k] * (gained + self.s[k] * volts + self.i[k]), np.float64)


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.inf
    if not abs(value) < MOST_FACTOR:
        raise Meter(f"{TITLE} sent a calibration with the factor {text[:40]}")
    return value


class WordStream(Recording):
    """Words to samples, with the counter checked."""

    def __init__(self, calibration: Calibration, volts: float) -> None:
        super().__init__(RATE_HZ, levels=True)
        self._calibration, self._volts_set = calibration, volts
        self._rest = b""
        self._counter: int | None = None
        self._level: int | None = None

    def feed(self, data: bytes) -> None:
        """Takes what has arrived."""
        rest = self._rest + data
        whole = len(rest) // 4 * 4
        self._rest = rest[whole:]
        words = np.frombuffer(rest, "<u4", whole // 4)
        if words.size:
            self._check(words)
            self._mark(words)
            self.add(self._calibration.amps(words, self._volts_set), self._volts_set)

    def _check(self, words: NDArray[np.uint32]) -> None:
        counters = ((words >> 18) & (COUNTER - 1)).astype(np.int64)
        if self._counter is not None:
            counters = np.concatenate(([self._counter], counters))
        self._counter = int(counters[-1])
        jumps = np.flatnonzero(np.diff(counters) % COUNTER != 1)
        if jumps.size:
            self.lose(f"bytes were dropped near sample {self.samples + int(jumps[0])}")
        if ((words >> 14) & 7 >= RANGES).any():
            self.lose(f"words with an impossible range near sample {self.samples}")

    def _mark(self, words: NDArray[np.uint32]) -> None:
        levels = ((words >> (24 + MARKER_INPUT)) & 1).astype(np.int64)
        before = int(levels[0]) if self._level is None else self._level
        changes = np.diff(np.concatenate(([before], levels)))
        self._level = int(levels[-1])
        assert self.rises is not None
        self.rises += (np.flatnonzero(changes > 0) + self.samples).tolist()
        self.falls += (np.flatnonzero(changes < 0) + self.samples).tolist()


def open_ppk2(request: MeterRequest) -> "Ppk2":
    """Opens the kit as a source meter and switches the supply on.

    Raises BadInput for volts it cannot do, Meter when it is absent or sends no calibration.
    """
    volts = DEFAULT_VOLTS if request.volts is None else request.volts
    if not LEAST_VOLTS <= volts <= MOST_VOLTS:
        raise BadInput(f"{TITLE} supplies {LEAST_VOLTS} to {MOST_VOLTS} V, not --volts {volts}")
    if request.rate_hz not in (None, RATE_HZ):
        raise BadInput(f"{TITLE} samples at {RATE_HZ} Hz, not --meter-rate {request.rate_hz}")
    kit = Ppk2(MeterPort(TITLE, request.port, BAUD), volts)
    try:
        kit.set_up()
    except BaseException:
        kit.close()
        raise
    return kit


class Ppk2:
    """An open kit; the board has its supply from it until `close`. The marker is on input D0."""

    title = TITLE

    def __init__(self, port: MeterPort, volts: float) -> None:
        self._port, self._volts = port, volts
        self._calibration: Calibration | None = None

    def set_up(self) -> None:
        """Reads the calibration, sets the voltage, switches on."""
        self._write(STOP)
        self._port.drain()
        self._calibration = Calibration.parse(self._metadata())
        millivolts = round(self._volts * 1000)
        self._write(MODE, SOURCE_MODE)
        self._write(REGULATOR, millivolts >> 8, millivolts & 0xFF)
        self._write(SUPPLY, 1)

    def capture(self, work: Work) -> PowerTrace:
        """Records while `work` runs."""
        assert self._calibration is not None
        stream = WordStream(self._calibration, self._volts)
        self._port.drain()
        started, began = now(), time.monotonic()
        self._write(START)
        pump = Pump(TITLE, stream, lambda: self._step(stream))
        try:
            work(pump)
        finally:
            host_s = time.monotonic() - began
            pump.kill()
            self._try(STOP)
        pump.seconds()
        self._check_rate(stream, host_s)
        return stream.trace(TITLE, started)

    def close(self) -> None:
        """Supply off; a vanished kit's port is closed, too."""
        self._try(STOP)
        self._try(SUPPLY, 0)
        self._port.close()

    def _check_rate(self, stream: WordStream, host_s: float) -> None:
        """The kit drops blocks of 512 words, which its counter of 64 does not show."""
        if stream.samples / RATE_HZ < 0.95 * host_s - 0.5:
            stream.lose(
                f"{stream.samples} samples in {host_s:.2f} s, {RATE_HZ} a second were due: the USB "
                "host did not keep up"
            )

    def _step(self, stream: WordStream) -> bool:
        data = self._port.read()
        stream.feed(data)
        return bool(data)

    def _metadata(self) -> str:
        self._write(META)
        text, deadline = b"", time.monotonic() + ANSWER_S
        while b"END" not in text:
            left = deadline - time.monotonic()
            if left <= 0:
                heard = f"it sent {text[-40:]!r}" if text else "it is silent"
                raise Meter(
                    f"{TITLE} on {self._port.name} did not send its calibration within "
                    f"{ANSWER_S:g} s: {heard}; is this the kit's first port, and is it switched on?"
                )
            text += self._port.read(left)
        return text.partition(b"END")[0].decode("ascii", "replace").replace("\r", "")

    def _write(self, *command: int) -> None:
        self._port.write(bytes(command))

    def _try(self, *command: int) -> None:
        with contextlib.suppress(Meter):  # it is gone: nothing is left to switch off
            self._write(*command)

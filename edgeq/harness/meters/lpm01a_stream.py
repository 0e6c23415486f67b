"""The sample streams of ST's LPM01A, text and binary (ST UM2269, UM2243; public drivers).

Text, a line each: `6409-07` is 6409e-7 A; `TimeStamp: 001s 000ms, buff 00%`; `event 00 ris` is an
edge of pin D7; `end` closes. Binary: samples of two bytes, most significant first, the top nibble n
a factor 16^-n and twelve bits of mantissa (52A0 is 640.9 uA); a first byte F0 opens a frame: F1
error text, F2 information text, F3 time (ms u32, buffer % u8), F4 end, F5 overcurrent, closed by
FF FF. No sample begins with F0 or more, so the bytes F0 F3 are never two neighbours' samples.
"""

import re

import numpy as np

from edgeq.errors import Meter
from edgeq.harness.meters.meter import Recording

SAMPLE = re.compile(rb"(\d{4})([+-]\d{2})")
STAMP = re.compile(rb"TimeStamp: (\d+)s (\d+)ms, buff (\d+)%")
EVENT = re.compile(rb"event \d+ (ris|fal)")
CLOSING = (b"end", b"summary beg", b"PowerShield > Acquisition completed")
FRAME, ERROR, INFO, TIME, END, OVERCURRENT = 0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5
TIME_BYTES = 9
TEXT_BYTES = 256  # of a frame; one longer than that has lost its end
FULL_PERCENT = 100
STAMPLESS_S = 5.0  # the meter sends the time once a second or more often
_TITLE = "LPM01A"


class Stream(Recording):
    """Checks the meter's own time against the samples that arrived."""

    def __init__(self, rate_hz: float, volts: float) -> None:
        super().__init__(rate_hz, levels=False)
        self._volts_set = volts
        self._first: tuple[int, int] | None = None  # ms and samples at the first time stamp
        self._stamped = 0  # samples at the last one
        self._rest = b""

    def _stamp(self, ms: int, buffer_percent: int) -> None:
        if buffer_percent >= FULL_PERCENT:
            self.lose(f"overrun: the meter's buffer was full at {ms / 1000:.3f} s")
        if self._first is None:
            self._first = (ms, self.samples)
        due = self._first[1] + (ms - self._first[0]) * self.rate_hz / 1000
        missing = round(due - self.samples)
        if abs(missing) > 1 + self.rate_hz / 1000:  # the time is in whole milliseconds
            what = f"{missing} samples are missing" if missing > 0 else f"{-missing} too many"
            self.lose(f"{what} by the meter's time {ms / 1000:.3f} s")
            self._first = (ms, self.samples)
        self._stamped = self.samples

    def _check_stamps(self) -> None:
        if self.samples - self._stamped > STAMPLESS_S * self.rate_hz:
            self.lose(f"no time stamp for {STAMPLESS_S:g} s: bytes were dropped")

    def _edge(self) -> None:
        """D7 is set to report falling edges; the word beside the event differs by firmware."""
        self.falls.append(self.samples)

    def _overcurrent(self) -> None:
        raise Meter(
            f"{_TITLE} reports overcurrent after {self.samples} samples: the board takes more than "
            "the 50 mA that it measures; lower the clock, or use another meter"
        )

    def _error(self, text: bytes) -> None:
        raise Meter(
            f"{_TITLE} reports an error after {self.samples} samples: {_words(text)!r}; lower "
            "--meter-rate, or reset the meter"
        )


class TextStream(Stream):
    """Format ascii_dec."""

    def feed(self, data: bytes) -> None:
        """Takes what has arrived. Raises Meter for an overcurrent or an error line."""
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        values: list[float] = []
        for line in (line.strip(b" \t\0") for line in lines):
            sample = SAMPLE.fullmatch(line)
            if sample:
                values.append(int(sample[1]) * 10.0 ** int(sample[2]))
            elif line and not self.ended:
                self._flush(values)
                self._other(line)
        self._flush(values)
        self._check_stamps()

    def _flush(self, values: list[float]) -> None:
        if values and not self.ended:
            self.add(values, self._volts_set)
        values.clear()

    def _other(self, line: bytes) -> None:
        stamp = STAMP.fullmatch(line)
        if stamp:
            self._stamp(1000 * int(stamp[1]) + int(stamp[2]), int(stamp[3]))
        elif EVENT.fullmatch(line):
            self._edge()
        elif line in CLOSING or line.startswith(CLOSING[-1]):
            self.ended = True
        elif b"overcurrent" in line.lower():
            self._overcurrent()
        elif b"error" in line.lower():
            self._error(line)
        elif not line.startswith(b"PowerShield > "):
            self.lose(f"a line that is no sample: {_words(line)!r}")


class BinaryStream(Stream):
    """Format bin_hexa."""

    _begun = False

    def feed(self, data: bytes) -> None:
        """Takes what has arrived. Raises Meter for an overcurrent or an error frame."""
        if self.ended:
            return
        rest = self._rest + data
        if not self._begun:
            rest = rest.lstrip(b"\r\n")  # of the answer to `start`
            self._begun = bool(rest)
        while len(rest) >= 2 and not self.ended:
            used = self._frame(rest) if rest[0] == FRAME else self._run(rest)
            rest = rest[used:]
            if not used:
                break
        self._rest = rest
        self._check_stamps()

    def _run(self, data: bytes) -> int:
        """The samples up to the next frame; how many bytes they are."""
        words = np.frombuffer(data, ">u2", len(data) // 2)
        odd = np.flatnonzero(words >= FRAME << 8)
        count = int(odd[0]) if odd.size else len(words)
        if count == 0:
            return self._resynchronise(data, f"a byte {data[0]:02X} where a sample begins")
        slipped = data.find(bytes((FRAME, TIME)), 0, 2 * count + 1)
        if slipped >= 0 and slipped % 2:
            # The frame stands at an odd place: one byte before it is gone, nobody knows which.
            self._add(words[: slipped // 2])
            self.lose(f"a byte was dropped before sample {self.samples}")
            return slipped
        self._add(words[:count])
        return 2 * count

    def _add(self, words: np.ndarray[tuple[int], np.dtype[np.uint16]]) -> None:
        self.add((words & 0xFFF) * 16.0 ** -(words >> 12).astype(np.float64), self._volts_set)

    def _resynchronise(self, data: bytes, why: str) -> int:
        self.lose(why)
        frame = data.find(bytes((FRAME, TIME)), 1)
        return frame if frame >= 0 else max(1, len(data) - 1)

    def _frame(self, data: bytes) -> int:
        """Handles the frame at the start; its length, 0 when it is not all there."""
        kind = data[1]
        if kind == TIME:
            return self._time(data)
        if kind not in (ERROR, INFO, END, OVERCURRENT):
            return self._resynchronise(data, f"a frame of unknown kind {kind:02X}")
        end = data.find(b"\xff\xff", 2)
        if end < 0:
            if len(data) < TEXT_BYTES:
                return 0
            return self._resynchronise(data, f"a frame of kind {kind:02X} without an end")
        self._text_frame(kind, data[2:end])
        return end + 2

    def _time(self, data: bytes) -> int:
        if len(data) < TIME_BYTES:
            return 0
        if data[TIME_BYTES - 2 : TIME_BYTES] != b"\xff\xff":
            return self._resynchronise(data, "a damaged time stamp")
        self._stamp(int.from_bytes(data[2:6], "big"), data[6])
        return TIME_BYTES

    def _text_frame(self, kind: int, text: bytes) -> None:
        if kind == OVERCURRENT:
            self._overcurrent()
        elif kind == ERROR:
            self._error(text)
        elif kind == END:
            self.ended = True
        elif EVENT.fullmatch(text.strip()):
            self._edge()


def _words(text: bytes) -> str:
    return text[:60].decode("ascii", "replace").strip()

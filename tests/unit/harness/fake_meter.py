"""A meter on a real pty, byte by byte as the public descriptions say, that can also misbehave."""

import contextlib
import os
import select
import threading
import tty
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.hang import HANG_S

Mutate = Callable[[bytes], bytes]


@dataclass
class Script:
    """What flows, and what goes wrong. `edges` are falling, each before the sample of its index."""

    amps: Sequence[float]
    edges: Sequence[int] = ()
    rate_hz: int = 1000
    stamp_every: int = 1000  # samples
    buffer_percent: int = 0
    mutate: Mutate | None = None  # the stream's bytes, before they are sent
    vanish_at: int | None = None  # bytes of the stream after which the port is gone
    answers: dict[str, bytes] = field(default_factory=dict)  # instead of the acknowledgement
    deaf: bool = False  # answers nothing
    stubborn: bool = False  # does not stop
    left_running: bool = False  # by a host that was killed


class FakeMeter:
    """Serves one meter in a thread; `path` is its port, `commands` what it was told."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self.commands: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def __enter__(self) -> "FakeMeter":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(HANG_S)
        self.vanish()

    def vanish(self) -> None:
        """Pulls the cable: the host's port hangs up."""
        for fd in (self.master, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        while view and not self._stop.is_set():
            if select.select([], [self.master], [], 0.05)[1]:
                view = view[os.write(self.master, view[:4096]) :]

    def read(self, timeout_s: float = 0.05) -> bytes:
        if select.select([self.master], [], [], timeout_s)[0]:
            return os.read(self.master, 4096)
        return b""

    def _serve(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while not self._stop.is_set() or self._has_mail():
                self.turn()

    def _has_mail(self) -> bool:
        """Whether the host's last words are still unread: a busy machine wakes this thread late."""
        return bool(select.select([self.master], [], [], 0)[0])

    def turn(self) -> None:
        """One look at the line."""
        raise NotImplementedError


class FakeLpm01a(FakeMeter):
    """ST UM2269: commands acknowledged, then text or binary samples until `stop`."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script
        self.binary = False
        self._line = b""

    def turn(self) -> None:
        self._line += self.read(0.005 if self.script.left_running else 0.05)
        if self.script.left_running:
            self.send(text_sample(1e-3) * 3)
        while b"\r\n" in self._line:
            line, _, self._line = self._line.partition(b"\r\n")
            self.obey(line.decode())

    def obey(self, command: str) -> None:
        self.commands.append(command)
        if self.script.deaf:
            return
        if command in self.script.answers:
            self.send(self.script.answers[command])
        elif command == "volt get":
            self.send(b"\r\nPowerShield > ack volt get 3300-03\r\n\r\n")
        elif command == "stop":
            self.script.left_running = False
            self.finish()
        elif self.script.left_running:
            self.send(f"\r\nPowerShield > error {command}: busy\r\n".encode())
        else:
            self.binary = "bin_hexa" in command or (self.binary and "format" not in command)
            self.send(f"\r\nPowerShield > ack {command}\r\n\r\n".encode())
            if command == "start":
                self.stream()

    def stream(self) -> None:
        """Everything the script holds; then nothing until `stop`."""
        script = self.script
        data = b"".join(self.pieces(script.amps, script.edges))
        data = script.mutate(data) if script.mutate else data
        if script.vanish_at is not None:
            self.send(data[: script.vanish_at])
            self.vanish()
            raise OSError("unplugged")
        self.send(data)

    def pieces(self, amps: Sequence[float], edges: Sequence[int]) -> list[bytes]:
        """The stream of some samples and edges, with the time stamps between."""
        encode = binary_sample if self.binary else text_sample
        out, waiting = [], sorted(edges)
        for index, value in enumerate(amps):
            if index % self.script.stamp_every == 0:
                out.append(self.stamp(index))
            while waiting and waiting[0] <= index:
                waiting.pop(0)
                out.append(self.event())
            out.append(encode(value))
        out += [self.event() for _ in waiting]
        return out

    def stamp(self, sample: int) -> bytes:
        ms = sample * 1000 // self.script.rate_hz
        if self.binary:
            return b"\xf0\xf3" + ms.to_bytes(4, "big") + bytes((self.script.buffer_percent,)) + END
        percent = self.script.buffer_percent
        return f"TimeStamp: {ms // 1000:03d}s {ms % 1000:03d}ms, buff {percent:02d}%\r\n".encode()

    def event(self) -> bytes:
        return b"\xf0\xf2event 00 ris" + END if self.binary else b"event 00 ris\r\n"

    def finish(self) -> None:
        if self.script.stubborn:
            return
        self.send(b"\xf0\xf4" + END if self.binary else b"end\r\n")
        self.send(b"\r\nsummary beg\r\nCurrent (A): ave 1234-06\r\nsummary end\r\n\r\n")
        self.send(b"PowerShield > Acquisition completed\r\n")


END = b"\xff\xff"


def text_sample(amps: float) -> bytes:
    """`6409-07`: four digits and a power of ten."""
    if amps == 0:
        return b"0000-10\r\n"
    exponent = -10
    while round(amps / 10.0**exponent) > 9999:
        exponent += 1
    return f"{round(amps / 10.0**exponent):04d}{exponent:+03d}\r\n".encode()


def binary_sample(amps: float) -> bytes:
    """52A0: n and twelve bits, the value times 16^-n."""
    power = 14
    while round(amps * 16.0**power) > 0xFFF:
        power -= 1
    return (power << 12 | round(amps * 16.0**power)).to_bytes(2, "big")


class FakePpk2(FakeMeter):
    """Nordic's kit: calibration as text, then words of four bytes while it averages."""

    def __init__(self, words: bytes, calibration: str | None = None) -> None:
        super().__init__()
        self.words = words
        self.calibration = CALIBRATION if calibration is None else calibration
        self.vanish_at: int | None = None
        self.deaf = False
        self.bytes_heard: list[int] = []

    def turn(self) -> None:
        heard = list(self.read())
        self.bytes_heard += heard
        while heard:
            command = heard.pop(0)
            if command in (0x11, 0x0C):
                del heard[:1]
            elif command == 0x0D:
                del heard[:2]
            elif command == 0x19 and not self.deaf:
                self.send(self.calibration.encode())
            elif command == 0x06 and self.vanish_at is not None:
                self.send(self.words[: self.vanish_at])
                self.vanish()
                raise OSError("unplugged")
            elif command == 0x06:
                self.send(self.words)


FACTORS = {
    "R": (1031.64, 101.65, 10.15, 0.94, 0.043),
    "GS": (0.0, 191.44, 29.15, 4.22, 0.136),
    "GI": (1.0, 0.97, 0.96, 0.95, 0.94),
    "O": (190.81, 131.35, 112.71, 87.77, 149.47),
    "S": (0.0, 1e-8, 2e-8, 3e-7, 4e-6),
    "I": (-1e-7, 0.0, 0.0, 0.0, 0.0),
    "UG": (1.0, 1.0, 1.0, 1.0, 1.0),
}
CALIBRATION = (
    "Calibrated: 0\n"
    + "".join(
        f"{name}{k}: {value}\n" for name, row in FACTORS.items() for k, value in enumerate(row)
    )
    + "VDD: 3700\nHW: 9173\nmode: 2\nIA: 56\nEND\n"
)


def ppk2_word(adc: int, band: int, counter: int, level: int) -> bytes:
    """ADC 14 bits, range 3, one unused, counter 6, inputs 8; least significant byte first."""
    return (adc | band << 14 | (counter % 64) << 18 | level << 24).to_bytes(4, "little")


def ppk2_amps(adc: int, band: int, volts: float) -> float:
    """Nordic's formula, written out for one word."""
    r, gs, gi, o, s, i, ug = (row[band] for row in FACTORS.values())
    raw = (4 * adc - o) * (1.8 / 163840) / r
    return ug * (raw * (gs * raw + gi) + s * volts + i)

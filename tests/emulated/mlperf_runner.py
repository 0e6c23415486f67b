"""What the open runner of MLPerf Tiny sends, and how it reads the answers.

Written from the protocol of mlcommons/tiny, benchmark/runner: 31 bytes a `db` command (26 when
energy is measured), a `%` behind each command, at most 5 s from one line of an answer to the next
(30 s during `infer`), an answer ends with the line m-ready, results are divided by their sum. The
runner itself finds boards by USB ids, which a pty lacks.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import serial

from tests.hang import HANG_S

LINE_S = HANG_S
INFER_S = HANG_S


@dataclass(frozen=True)
class Window:
    """One `infer`: its results, and the two time stamps in microseconds (performance mode)."""

    results: tuple[float, ...]
    laps: tuple[int, ...]

    @property
    def top(self) -> int:
        """The class that the runner takes: of the results over their sum."""
        total = sum(self.results)
        shares = [result / total for result in self.results]
        return shares.index(max(shares))


class Runner:
    """A session with a device. Use as a context manager."""

    def __init__(self, port: str, baud: int = 115200, energy: bool = False) -> None:
        self._port = serial.Serial(port, baud, timeout=0.1)
        self._line = b""
        self._bytes_a_command = 26 if energy else 31
        self._settle()

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: object) -> None:
        self._port.close()

    def command(self, text: str, line_s: float = LINE_S) -> list[str]:
        """The lines of the answer, m-ready included."""
        self._port.write(f"{text}%".encode())
        lines = [self._read_line(line_s)]
        while "m-ready" not in lines[-1]:
            lines.append(self._read_line(line_s))
        return [line for line in lines if line]

    def greet(self) -> dict[str, str]:
        """Name, profile and model, as the runner's patterns find them."""
        lines = self.command("name") + self.command("profile")
        found = [re.match(r"^m-(?:(name)-dut|(model)|(profile))-\[([^]]+)]$", x) for x in lines]
        return {m[1] or m[2] or m[3]: m[4] for m in found if m}

    def load(self, data: bytes) -> None:
        """Puts a data file into the device's buffer."""
        assert self.command(f"db load {len(data)}")[0] == f"m-[Expecting {len(data)} bytes]"
        for at in range(0, len(data), self._bytes_a_command):
            answer = self.command(f"db {data[at : at + self._bytes_a_command].hex()}")
        assert answer == ["m-load-done", "m-ready"]

    def infer(self, count: int, warmups: int) -> Window:
        """Runs what was loaded."""
        lines = self.command(f"infer {count} {warmups}", INFER_S)
        expected = [f"m-warmup-start-{warmups}", "m-warmup-done", f"m-infer-start-{count}"]
        assert lines[:3] == expected
        (results,) = [m[1] for x in lines if (m := re.match(r"^m-results-\[([^]]+)\]$", x))]
        laps = [int(m[1]) for x in lines if (m := re.match(r"^m-lap-us-([0-9]+)$", x))]
        assert not [line for line in lines if line.startswith("e-")]
        return Window(tuple(float(x) for x in results.split(",") if x.strip()), tuple(laps))

    def accuracy(self, files: Sequence[bytes]) -> list[int]:
        """Accuracy mode: each file once; the classes."""
        return [self._window(data, 1, 0).top for data in files]

    def performance(self, files: Sequence[bytes], count: int, warmups: int) -> list[Window]:
        """Performance mode: a window for each of five files. The real one wants 10 s a window."""
        assert len(files) == 5
        return [self._window(data, count, warmups) for data in files]

    def _window(self, data: bytes, count: int, warmups: int) -> Window:
        self.load(data)
        return self.infer(count, warmups)

    def _settle(self) -> None:
        """Reads past what another protocol left in the pty or is still sending: all of it comes
        before the answer to a first command.
        """
        self._port.write(b"name%")
        until, seen = time.monotonic() + LINE_S, b""
        while b"m-ready" not in seen or not seen.endswith(b"\n"):
            assert time.monotonic() < until, f"no answer within {LINE_S} s, but {seen[-99:]!r}"
            seen += self._port.read(max(1, self._port.in_waiting))

    def _read_line(self, seconds: float) -> str:
        until = time.monotonic() + seconds
        while b"\n" not in self._line:
            assert time.monotonic() < until, f"no line within {seconds} s, but {self._line!r}"
            self._line += self._port.read(max(1, self._port.in_waiting))
        line, _, self._line = self._line.partition(b"\n")
        return line.decode().strip("\r\0")

    def stream(self, seconds: float) -> list[str]:
        """What a recording is played between; the answer to the last command.

        The runner stops a device that may still be hearing, starts it, plays, waits a quarter of a
        second and stops it. In between it reads nothing, and the device is to say nothing.
        """
        assert self.command("stop")[-1] == "m-ready"
        assert self.command("start") == ["m-ready"]
        time.sleep(seconds + 0.25)
        assert not self._port.in_waiting, "it speaks while it hears"
        return self.command("stop")

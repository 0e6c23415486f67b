"""The serial line in both directions: what a board may answer, what a host may send."""

import random
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeq.harness import messages
from edgeq.harness.frame import Decoder, Frame, encode
from tests.hostile import mutate
from tests.hostile.oracle import Case, Place, Surface

READ_S = 0.001  # that each look at the line takes, by the clock of the case
INPUT, OUTPUTS, LAYERS = 20, 3, 2
Change = Callable[[bytes], bytes]


class Clock:
    """The `time` of a case: it passes by reading and waiting, so a deadline comes for certain."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Line:
    """A port whose other end is a function: bytes written -> bytes answered."""

    name = "/dev/case"

    def __init__(self, clock: Clock, answer: Change) -> None:
        self._clock, self._answer, self._waiting = clock, answer, b""

    def read(self, timeout_s: float) -> bytes:
        self._clock.now += READ_S if self._waiting else max(READ_S, timeout_s)
        data, self._waiting = self._waiting[:4096], self._waiting[4096:]
        return data

    def write(self, data: bytes, _timeout_s: float) -> None:
        self._clock.now += READ_S
        self._waiting += self._answer(data)

    def close(self) -> None:
        """Nothing to let go of."""


class Stand:
    """What stands in for the system in a worker: its ports, its clock, its random numbers."""

    def __init__(self, *modules: Any) -> None:
        self.clock = Clock()
        self.line: Line | None = None
        for module in modules:
            module.time = self.clock

    def opened(self, *_: object) -> Any:
        return self.line

    def plug(self, answer: Change) -> None:
        self.clock.now = 1000.0
        self.line = Line(self.clock, answer)


class _Secrets:
    token_bytes = staticmethod(bytes)

    @staticmethod
    def randbelow(most: int) -> int:
        """Not random here: a case is repeated."""
        return most // 3


def _link_stand(place: Place) -> Stand:
    from edgeq.harness import exchange, link

    stand = Stand(exchange, link)
    link.Port = type("Port", (), {"open": staticmethod(stand.opened)})

    exchange.secrets = link.secrets = _Secrets
    return stand


class Board:
    """Answers as the firmware does, with the regions and the frames that it is given."""

    def __init__(self, info: bytes, result: Change, frame: Callable[[Frame], list[Frame]]) -> None:
        self._decoder = Decoder()
        self._result, self._frame = result, frame
        self.regions = {0: info, 1: bytearray(INPUT), 2: b"", 3: bytes(4 * LAYERS)}

    def answer(self, data: bytes) -> bytes:
        out = b""
        for request in self._decoder.feed(data):
            for frame in self._frame(self._answered(request)):
                out += encode(frame)
        return out

    def _answered(self, request: Frame) -> Frame:
        kind, payload = request.type | 0x80, request.payload
        if request.type == messages.RUN:
            self._run(payload)
            payload = messages.place(2, 0) + self.regions[2][: messages.DATA_BYTES]
        elif request.type == messages.WRITE:
            at = int.from_bytes(payload[1:5], "little")
            bytearray(self.regions[1])[at : at + len(payload) - 5] = payload[5:]
            payload = payload[:5]
        elif request.type == messages.READ:
            at, count = int.from_bytes(payload[1:5], "little"), payload[5]
            found = bytes(self.regions.get(payload[0], b""))[at : at + count]
            if len(found) < count:
                return Frame(messages.NAK, request.seq, bytes((4, request.type)))
            payload = payload[:5] + found
        return Frame(kind, request.seq, payload)

    def _run(self, payload: bytes) -> None:
        number, crc = struct.unpack("<II", payload)
        header = messages.RESULT_HEADER.pack(number, 0, 1, 1 << 22, 1 << 14, 5000, 400, crc, 0)
        body = self._result(header[:-4] + bytes(range(OUTPUTS)) + bytes(4 * LAYERS))
        head, rest = body[: messages.RESULT_CRC_AT], body[messages.RESULT_CRC_AT :]
        layers = rest[-4 * LAYERS :]
        self.regions[3] = layers
        self.regions[2] = head + struct.pack("<I", zlib.crc32(head + rest)) + rest[: -4 * LAYERS]


def _info(rng: random.Random, change: bool) -> bytes:
    numbers: list[int] = [48_000_000, INPUT, OUTPUTS, LAYERS]
    words = [b"a" * 64, b"b" * 64, b"virtual_m4", b"tiny"]
    version, window = 1, 4
    if change:
        for _ in range(rng.choice((1, 1, 2))):
            kind = rng.randrange(8)
            if kind < 4:
                numbers[kind] = rng.choice((*mutate.INTEGERS, rng.getrandbits(32))) & 0xFFFFFFFF
            elif kind < 7:
                odd = (
                    b"",
                    b"\x1b[2J",
                    b"x" * 255,
                    b"\xff\xfe",
                    b"a\n",
                    b"`touch x`",
                    b"\xe2\x80\xae",
                )
                words[rng.randrange(4)] = rng.choice(odd)
            else:
                version, window = rng.randrange(256), rng.randrange(256)
    body = struct.pack("<BBIIII", version, window, *numbers)
    body += b"".join(bytes((len(word),)) + word for word in words)
    size = (
        len(body) + 2 if not change or rng.random() < 0.9 else rng.choice(mutate.INTEGERS) % 65536
    )
    region = struct.pack("<H", size) + body
    return mutate.bytes_changed(rng, region) if change and rng.random() < 0.2 else region


def _odd_frames(rng: random.Random, rate: float) -> Callable[[Frame], list[Frame]]:
    def change(frame: Frame) -> list[Frame]:
        if rng.random() >= rate:
            return [frame]
        kind, odd = rng.randrange(8), bytes((rng.randrange(256), frame.type & 0x7F))
        payload = mutate.bytes_changed(rng, frame.payload)[:64]
        return {
            0: [Frame(frame.type, frame.seq, payload)],
            1: [Frame(rng.randrange(256), frame.seq, frame.payload)],
            2: [Frame(frame.type, rng.randrange(65536), frame.payload)],
            3: [Frame(messages.NAK, frame.seq, odd)],
            4: [frame, frame],
            5: [],
            6: [Frame(messages.NAK, frame.seq, payload)],
            7: [Frame(frame.type, frame.seq, frame.payload[:-1]), frame],
        }[kind]

    return change


def _board_case(rng: random.Random, stand: Stand, place: Place) -> Case:
    kind = rng.randrange(5)
    info = _info(rng, change=kind == 0)

    def result(body: bytes) -> bytes:
        if kind != 1:
            return body
        out = bytearray(body)
        for _ in range(rng.choice((1, 2))):
            at = rng.choice((4, 8, 12, 16, 20, 24, 28))
            out[at : at + 4] = (rng.choice(mutate.INTEGERS) & 0xFFFFFFFF).to_bytes(4, "little")
        return bytes(out)

    board = Board(info, result, _odd_frames(rng, 0.3 if kind == 2 else 0.0))

    def answer(data: bytes) -> bytes:
        said = board.answer(data)
        if kind == 3 and rng.random() < 0.5:
            return mutate.bytes_changed(rng, said)
        if kind == 4:
            return rng.choice((said, data, b"m-ready\r\n" + said, rng.randbytes(300), b"~" * 50))
        return said

    stand.plug(answer)

    def use() -> str:
        from edgeq.harness.link import BoardLink
        from edgeq.harness.record import SampleRecord

        with BoardLink.open("/dev/case", timeout=0.2, infer_timeout=0.2) as link:
            info = link.info()
            for sample in range(2):
                record = SampleRecord.of(link.infer(sample, bytes(info.input_bytes)), 1, False)
                SampleRecord.parse(record.fields())
            return f"{info.board} {info.model} {info.clock_hz}"

    return use


class Firmware:
    """The firmware's runtime as a process of this computer, with sanitizers; cases go in turn."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """A new process where there is none."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [str(self._program)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                preexec_fn=_unlimited,
            )

    def run(self, data: bytes) -> bytes:
        """What the firmware says to a case. RuntimeError when a sanitizer ended it."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(len(data).to_bytes(4, "little") + data)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise RuntimeError("the firmware ended") from None
        head = self._process.stdout.read(4)
        if len(head) < 4:
            raise RuntimeError(f"the firmware ended ({self._process.wait(5)})")
        return self._process.stdout.read(int.from_bytes(head, "little"))


def _unlimited() -> None:
    """The sanitizers map terabytes, which they do not touch."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _firmware(place: Place) -> Firmware:
    from tests.hostile.parser import build_standalone

    return Firmware(build_standalone(place.case.parent))


COMMANDS = (
    b"name%", b"profile%", b"help%", b"timestamp%", b"results%", b"db print%", b"db load 300%",
    b"db 00112233%", b"db load%", b"db%", b"infer 1 0%", b"infer 5 2%", b"infer%", b"infer 0%",
    b"infer 1 -1%", b"db load 99999999999%", b"db xyz%", b"db 123%", b"%", b"nonsense\x1b%",
    b"db load 4%db 00000000%", b"db " + b"ab" * 31 + b"%", b"x" * 90 + b"%", b"na\r\nme%",
)  # fmt: skip


def host_bytes(rng: random.Random) -> bytes:
    """What a host sends: requests and commands, and their like."""
    out = b""
    for _ in range(rng.randrange(1, 9)):
        if rng.random() < 0.35:
            text = rng.choice(COMMANDS)
            out += mutate.bytes_changed(rng, text) if rng.random() < 0.4 else text
            continue
        kind = rng.choice((1, 2, 3, 4, 2, 3, rng.randrange(256)))
        place = messages.place(
            rng.choice((0, 1, 2, 3, 4, 255)), rng.choice(mutate.INTEGERS) & 0x1FF
        )
        if rng.random() < 0.2:
            place = messages.place(rng.randrange(256), rng.choice(mutate.INTEGERS) & 0xFFFFFFFF)
        tail = {3: bytes((rng.choice((0, 1, 20, 59, 60, 255)),)), 4: bytes(3)}.get(kind)
        body = place + (rng.randbytes(rng.randrange(60)) if tail is None else tail)
        wire = encode(Frame(kind, rng.randrange(65536), body[:64]))
        out += mutate.bytes_changed(rng, wire) if rng.random() < 0.3 else wire
    return out


def _firmware_case(rng: random.Random, firmware: Firmware, place: Place) -> Case:
    data = host_bytes(rng)
    firmware.start()

    def use() -> str:
        said = firmware.run(data)
        frames = Decoder()
        frames.feed(said)
        if frames.damaged:
            raise RuntimeError("the firmware sent a damaged frame")
        return "".join(chr(b) for b in said if 32 <= b < 127)

    return use


SURFACES = (
    Surface("board_link", _link_stand, _board_case),
    Surface("firmware_link", _firmware, _firmware_case),
)

"""The host's end of the serial protocol: open a port, ask who is there, run samples.

with BoardLink.open("/dev/ttyACM0") as link:
    print(link.info().board)
    result = link.infer(0, sample_bytes)
"""

import contextlib
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence

from edgeq.errors import BadInput, Link
from edgeq.harness.exchange import Exchange, LinkStatistics, NoAnswer, refusal
from edgeq.harness.frame import Frame
from edgeq.harness.messages import (
    BAUD,
    DATA_BYTES,
    INFO,
    INPUT,
    LAYERS,
    NAK_INPUT_CRC,
    NAK_REASONS,
    NAK_STATE,
    PING,
    PLACE_BYTES,
    RESET,
    RESULT,
    RESULT_HEADER,
    InferResult,
    Info,
    Request,
    parse_info,
    parse_result,
    read_requests,
    run_request,
    write_requests,
)
from edgeq.harness.port import Port

_INFO_MOST_BYTES = 4096
_AT_NEW_RATE_S = 1.0
LOST_STATE = (
    "the board was not told to begin a sequence, or restarted within it: the model's state is "
    "lost; begin again"
)


class BoardLink:
    """An open, answered connection to a board that runs edgeq's firmware."""

    def __init__(self, port: Port, timeout: float, infer_timeout: float) -> None:
        self._exchange = Exchange(port)
        self._timeout = timeout
        self._infer_timeout = infer_timeout
        self._info: Info | None = None
        self._usual: int | None = None  # the rate to leave the board at

    @classmethod
    def open(
        cls, port: str, timeout: float = 5.0, baud: int = 115200, infer_timeout: float = 60.0
    ) -> "BoardLink":
        """Opens `port` (a device path, a pty, any pyserial URL) and waits until it answers.

        `timeout` (s) bounds the greeting and each question, `infer_timeout` (s) one sample with all
        repetitions. Raises errors.Link: absent, busy, silent, or speaking something else.
        """
        return cls.over(Port.open(port, baud), timeout, infer_timeout)

    @classmethod
    def over(cls, port: Port, timeout: float = 5.0, infer_timeout: float = 60.0) -> "BoardLink":
        """As `open`, over a port that is open already; it is closed with the link."""
        link = cls(port, timeout, infer_timeout)
        try:
            link._greet()
            link._info = link._read_info()
        except BaseException:
            link.close()
            raise
        return link

    @property
    def statistics(self) -> LinkStatistics:
        """Frames, repetitions and damaged frames so far."""
        return self._exchange.statistics

    def info(self) -> Info:
        """What the firmware said about itself when the link was opened."""
        assert self._info is not None
        return self._info

    def infer(self, sample_id: int, data: bytes) -> InferResult:
        """Runs one input of exactly `info().input_bytes` bytes: the ports' values as the model
        takes them, one port after another (`info().inputs.pack`). A model with a state goes on from
        where it stands (`reset`).

        `sample_id` is 0..2^32-1. Raises BadInput for a wrong length, errors.Link naming the sample
        when the board falls silent, the port vanishes or the model's code fails.
        """
        expected = self.info().input_bytes
        if len(data) != expected:
            raise BadInput(f"sample {sample_id} has {len(data)} bytes, the model takes {expected}")
        if not 0 <= sample_id < 2**32:
            raise BadInput(f"sample id {sample_id} is outside 0..{2**32 - 1}")
        deadline = time.monotonic() + self._infer_timeout
        with _naming(f"sample {sample_id}", self._infer_timeout):
            while True:
                result = self._attempt(sample_id, data, deadline)
                if result is not None:
                    return result
                if time.monotonic() >= deadline:  # a board that answers at once, always wrongly
                    raise NoAnswer(f"{self._exchange.port.name}: no sound answer")

    def reset(self) -> None:
        """The model's state as after a start: what comes next is the first row of a sequence.

        Nothing to do for a model without one. Raises errors.Link.
        """
        if not self.info().state_bytes:
            return
        deadline = time.monotonic() + self._timeout
        with _naming("resetting the model's state", self._timeout):
            self._ask([Request(RESET, b"")], deadline)

    def begin(self, before: Iterable[bytes]) -> None:
        """A model's state as after the rows `before`: it is reset, and they are run again.

        Nothing to do for a model without one. Raises as `infer` does.
        """
        self.reset()
        if self.info().state_bytes:
            for index, data in enumerate(before):
                self.infer(index, data)

    def hasten(self, baud: int, usual: int) -> int:
        """Asks the board for `baud` instead of `usual`; the rate that both ends have then.

        It is `usual` where firmware or UART do not make the other, or nothing comes through at it:
        a board that hears nothing for some seconds goes back by itself. Raises errors.Link when it
        is lost.
        """
        if baud == usual or not self._offered(baud):
            return usual
        try:
            self._exchange.port.set_baud(baud)
            self._ping(time.monotonic() + _AT_NEW_RATE_S)
        except Link:  # nothing comes through, or the port has one rate only
            self._exchange.port.set_baud(usual)
            self._greet()
            return usual
        self._usual = usual
        return baud

    def _offered(self, baud: int) -> bool:
        """False where the board refused; True also where its answer was lost."""
        deadline = time.monotonic() + _AT_NEW_RATE_S
        with contextlib.suppress(NoAnswer):
            asked = Request(BAUD, baud.to_bytes(4, "little"))
            return refusal(self._exchange.transact([asked], deadline)[0]) is None
        return True

    def _ping(self, deadline: float) -> None:
        self._ask([Request(PING, secrets.token_bytes(8))], deadline)

    def close(self) -> None:
        """Closes the port. The board keeps running, at the rate of its build."""
        if self._usual is not None:
            with contextlib.suppress(Link):
                self._offered(self._usual)
        self._exchange.port.close()

    def __enter__(self) -> "BoardLink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _attempt(self, sample_id: int, data: bytes, deadline: float) -> InferResult | None:
        """One try; None when the board restarted or its input was disturbed meanwhile."""
        crc = zlib.crc32(data)
        self._ask(write_requests(INPUT, data), deadline)
        (ran,) = self._exchange.transact([run_request(sample_id, crc)], deadline)
        if refusal(ran) == NAK_INPUT_CRC:
            return None
        if refusal(ran) == NAK_STATE:
            raise Link(LOST_STATE)
        _check(ran)
        info = self.info()
        result_bytes = RESULT_HEADER.size + info.output_count
        first = ran.payload[PLACE_BYTES:]
        layer_bytes = 4 * info.layer_count
        rest = read_requests(RESULT, len(first), result_bytes)
        layers = read_requests(LAYERS, 0, layer_bytes)
        pieces = [frame.payload[PLACE_BYTES:] for frame in self._ask(rest + layers, deadline)]
        result = first + b"".join(pieces[: len(rest)])
        try:
            layers_said = b"".join(pieces[len(rest) :])
            return parse_result(sample_id, crc, result, layers_said, info.outputs)
        except ValueError:
            return None

    def _ask(self, requests: Sequence[Request], deadline: float) -> list[Frame]:
        frames = self._exchange.transact(requests, deadline)
        for frame in frames:
            _check(frame)
        return frames

    def _greet(self) -> None:
        """Repeats a ping until it is answered: a board may still be starting."""
        deadline = time.monotonic() + self._timeout
        try:
            self._ping(deadline)
        except NoAnswer:
            raise Link(self._why_no_greeting()) from None

    def _why_no_greeting(self) -> str:
        name, seconds = self._exchange.port.name, f"{self._timeout:g} s"
        heard = self._exchange.decoder.tail()
        if self.statistics.echoes:
            return (
                f"{name} only echoes what it is sent; TX and RX are bridged, or a terminal has "
                "echo on"
            )
        if not self.statistics.bytes_received:
            return (
                f"{name} is silent: no byte in {seconds}; is the board powered, flashed with edgeq "
                "firmware and at this baud rate?"
            )
        if b"m-ready" in heard or b"m-init-done" in heard:
            return (
                f"{name} answers MLPerf Tiny text but not edgeq's frames within {seconds}; flash "
                "edgeq's own firmware"
            )
        return (
            f"{name} speaks something else (last heard: {heard!r}); check the baud rate and that "
            "the board runs edgeq firmware"
        )

    def _read_info(self) -> Info:
        deadline = time.monotonic() + self._timeout
        with _naming("reading the board's info record", self._timeout):
            (head,) = self._ask(read_requests(INFO, 0, 2), deadline)
            size = int.from_bytes(head.payload[PLACE_BYTES:], "little")
            if not DATA_BYTES < size <= _INFO_MOST_BYTES:
                raise Link(f"it claims to be {size} bytes long; flash edgeq's firmware again")
            frames = self._ask(read_requests(INFO, 0, size), deadline)
        info = parse_info(b"".join(frame.payload[PLACE_BYTES:] for frame in frames))
        self._exchange.window = info.window
        return info


def _check(frame: Frame) -> None:
    reason = refusal(frame)
    if reason is not None:
        text = NAK_REASONS.get(reason, "unknown reason")
        raise Link(f"the board refused a request ({reason}: {text}); flash it again")


@contextlib.contextmanager
def _naming(what: str, timeout: float) -> Iterator[None]:
    """Link errors inside say what was under way."""
    try:
        yield
    except NoAnswer as error:
        raise Link(
            f"{what}: {error} within {timeout:g} s; reset the board or raise the timeout"
        ) from None
    except Link as error:
        text = str(error)
        raise Link(text if text.startswith(what) else f"{what}: {text}") from None

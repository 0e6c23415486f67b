"""The link against the real device runtime on a pty, over good and bad lines."""

import os
import random
import threading
import tty
from collections.abc import Callable, Iterator

import pytest
from lossy_line import LossyLine
from stub_model import LAYERS, expected, same
from stub_run import MANIFEST

from edgeq.errors import BadInput, Link
from edgeq.harness.link import BoardLink
from edgeq.harness.manifest import Layer
from edgeq.harness.record import SampleRecord
from edgeq.harness.trace import read_run
from edgeq.harness.trace_writer import create_run
from tests.hang import HANG_S

INPUT_BYTES = 300
PATIENT = {"timeout": HANG_S, "infer_timeout": HANG_S}


@pytest.fixture
def line(board: Callable[..., object]) -> Iterator[Callable[..., LossyLine]]:
    lines: list[LossyLine] = []

    def make(*flags: str, **kwargs: float) -> LossyLine:
        lines.append(LossyLine(board(*flags).master, **kwargs))  # type: ignore[attr-defined]
        return lines[-1]

    yield make
    for one in lines:
        one.close()


def run_samples(link: BoardLink, count: int, seed: int = 1) -> None:
    rng = random.Random(seed)
    for sample_id in range(count):
        data = rng.randbytes(INPUT_BYTES)
        if data[0] == 127:
            data = b"\x00" + data[1:]
        assert same(link.infer(sample_id, data), expected(sample_id, data)), sample_id


def test_info(line):
    with BoardLink.open(line().path, **PATIENT) as link:
        info = link.info()
    assert (info.board, info.model, info.input_bytes) == ("host_stub", "stub", INPUT_BYTES)
    assert (info.output_count, info.layer_count, info.clock_hz) == (40, 20, 1_000_000)
    assert info.model_digest.startswith("00112233")
    assert len(info.model_digest) == 64
    assert info.firmware_digest.startswith("ffeeddcc")
    assert len(info.firmware_digest) == 64


def test_clean_line_repeats_only_by_timer(line):
    """A busy test machine may let a timer run out; nothing may look lost or damaged."""
    with BoardLink.open(line().path, **PATIENT) as link:
        run_samples(link, 100)
        assert link.statistics.retries == link.statistics.timeouts
        assert link.statistics.crc_errors == 0


def test_every_reserved_byte_in_the_input(line):
    data = (b"~}%\r\n\x11\x13" * 50)[:INPUT_BYTES]
    with BoardLink.open(line().path, **PATIENT) as link:
        assert same(link.infer(7, data), expected(7, data))


def test_same_id_with_other_input_is_run_again(line):
    with BoardLink.open(line().path, **PATIENT) as link:
        for fill in (1, 2, 1):
            data = bytes((fill,)) * INPUT_BYTES
            assert same(link.infer(3, data), expected(3, data))


WINDOWS = [(), ("-DEDGEQ_RX_WINDOW_FRAMES=4",)]


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(WINDOWS[0], marks=pytest.mark.full, id="window1"),
        pytest.param(WINDOWS[1], id="window4"),
    ],
)
def test_lossy_line_loses_nothing(line, flags):
    lossy = line(*flags, rate=0.01, seed=len(flags), hold=0.002)
    with BoardLink.open(lossy.path, **PATIENT) as link:
        assert link.info().window == (4 if flags else 1)
        run_samples(link, 6)
        assert lossy.damage > 8
        assert link.statistics.retries > 3


@pytest.mark.full
@pytest.mark.parametrize("flags", WINDOWS, ids=["window1", "window4"])
def test_lossy_line_loses_nothing_in_hundreds(line, flags):
    lossy = line(*flags, rate=0.01, seed=99, hold=0.002)
    with BoardLink.open(lossy.path, **PATIENT) as link:
        run_samples(link, 250)


STUBS = MANIFEST.model_copy(
    update={
        "model": MANIFEST.model.model_copy(
            update={"layers": (Layer(name="l", op="o"),) * LAYERS, "experts": ("a", "b")}
        )
    }
)


@pytest.mark.full
def test_ten_thousand_inferences_on_a_lossy_line_are_recorded_once_each(line, tmp_path):
    """1 % of the bytes lost, flipped or doubled each way, 1 % of the chunks held up."""
    small = ("-DEDGEQ_INPUT_BYTES=20", "-DEDGEQ_RX_WINDOW_FRAMES=4")
    lossy = line(*small, rate=0.01, seed=5, hold=0.01)
    rng = random.Random(6)
    inputs = [bytes((rng.randrange(127),)) + rng.randbytes(19) for _ in range(10_000)]
    with (
        BoardLink.open(lossy.path, **PATIENT) as link,
        create_run(tmp_path / "run", STUBS) as run,
    ):
        for sample_id, data in enumerate(inputs):
            run.add(SampleRecord.of(link.infer(sample_id, data)))
        run.end()
    records = read_run(tmp_path / "run").records
    assert [record.index for record in records] == list(range(10_000))
    wanted = [SampleRecord.of(expected(i, data)) for i, data in enumerate(inputs)]
    assert records == tuple(wanted)
    assert lossy.damage > 10_000


def test_text_and_frames_share_the_line(line):
    path = line().path
    with BoardLink.open(path, **PATIENT) as link:
        run_samples(link, 3)
        link._exchange.port.write(b"name%db load 3%garbage", 1.0)
        run_samples(link, 3)


def test_wrong_input_is_refused_on_the_host(line):
    with BoardLink.open(line().path, **PATIENT) as link:
        with pytest.raises(BadInput, match="sample 4 has 3 bytes, the model takes 300"):
            link.infer(4, b"abc")
        with pytest.raises(BadInput, match="outside"):
            link.infer(-1, bytes(INPUT_BYTES))


def test_failing_inference_names_sample(line):
    data = bytes((127, 128)) + bytes(INPUT_BYTES - 2)
    with BoardLink.open(line().path, **PATIENT) as link:
        with pytest.raises(Link, match="sample 9: edgeq_infer returned 7"):
            link.infer(9, data)
        run_samples(link, 2)


def test_a_board_that_answers_at_once_and_always_wrongly_is_left(line, monkeypatch):
    """Found by the hostile campaign: no single wait is long, so none was over."""
    with BoardLink.open(line().path, infer_timeout=0.05) as board:
        monkeypatch.setattr(board, "_attempt", lambda *_: None)
        with pytest.raises(Link, match=r"sample 7: .*: no sound answer within 0\.05 s"):
            board.infer(7, bytes(board.info().input_bytes))


def test_absent_port():
    with pytest.raises(Link, match="does not exist"):
        BoardLink.open("/dev/ttyNOSUCH")


@pytest.mark.parametrize("name", ["socket://127.0.0.1:9", "hwgrep://no-such-board"])
def test_url_without_a_board(name, monkeypatch):
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda *_, **__: [])  # not the user's
    with pytest.raises(Link, match="does not exist or does not answer"):
        BoardLink.open(name)


def test_not_a_port(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"text")
    with pytest.raises(Link, match="not a serial port"):
        BoardLink.open(str(plain))
    with pytest.raises(Link, match="is not a port"):
        BoardLink.open("nosuch://port")


def test_busy_port(line):
    path = line().path
    with BoardLink.open(path, **PATIENT):
        with pytest.raises(Link, match="busy"):
            BoardLink.open(path)
    with BoardLink.open(path, **PATIENT) as link:  # and free again afterwards
        run_samples(link, 1)


@pytest.fixture
def bare_pty() -> Iterator[tuple[int, str]]:
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(slave)  # ends what reads the master: its number is the next pty's
    for thread in threading.enumerate():
        if thread.name == f"chatter {master}":
            thread.join(HANG_S)
    os.close(master)


def test_silent_port(bare_pty):
    with pytest.raises(Link, match=r"silent: no byte in 0\.5 s"):
        BoardLink.open(bare_pty[1], timeout=0.5)


def chatter(master: int, answer: Callable[[bytes], bytes]) -> threading.Thread:
    def serve() -> None:
        try:
            while data := os.read(master, 4096):
                os.write(master, answer(data))
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True, name=f"chatter {master}")
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda data: data, "only echoes"),
        (lambda _: b"login: \r\n", "speaks something else.*login"),
        (lambda _: b"e-[Unknown command: x]\r\nm-ready\r\n", "MLPerf Tiny text but not"),
        (lambda _: b"\xff\x00~~}~" * 9, "speaks something else"),
    ],
)
def test_port_that_speaks_something_else(bare_pty, answer, message):
    chatter(bare_pty[0], answer)
    with pytest.raises(Link, match=message):
        BoardLink.open(bare_pty[1], timeout=1.5)


def test_cable_pulled_in_the_middle(line):
    lossy = line()
    with BoardLink.open(lossy.path, **PATIENT) as link:
        run_samples(link, 2)
        lossy.close()
        with pytest.raises(Link, match=r"sample 2: .*the port is gone"):
            link.infer(2, bytes(INPUT_BYTES))


def test_board_that_falls_silent_names_the_sample(line):
    lossy = line()
    with BoardLink.open(lossy.path, **PATIENT) as link:
        run_samples(link, 2)
        lossy.cut = True
        link._infer_timeout = 0.7
        with pytest.raises(Link, match=r"sample 5: .*no answer within 0\.7 s"):
            link.infer(5, bytes(INPUT_BYTES))
        lossy.cut = False
        link._infer_timeout = HANG_S
        run_samples(link, 2)  # and the link works again


def test_board_that_answers_late(line):
    """The greeting is repeated: bytes sent before a board is up are lost."""
    lossy = line()
    lossy.cut = True
    threading.Timer(0.6, setattr, (lossy, "cut", False)).start()
    with BoardLink.open(lossy.path, timeout=HANG_S) as link:
        assert link.statistics.retries > 0
        run_samples(link, 1)


def test_socket_url(board):
    """pyserial's socket:// form, bridged to the board by a thread."""
    import socket

    running = board()
    server = socket.create_server(("127.0.0.1", 0))

    def bridge() -> None:
        client, _ = server.accept()
        threading.Thread(target=pump, args=(client.fileno(), running.master), daemon=True).start()
        pump(running.master, client.fileno())

    def pump(source: int, sink: int) -> None:
        try:
            while data := os.read(source, 4096):
                os.write(sink, data)
        except OSError:
            pass

    threading.Thread(target=bridge, daemon=True).start()
    with BoardLink.open(f"socket://127.0.0.1:{server.getsockname()[1]}", **PATIENT) as link:
        run_samples(link, 5)
    server.close()

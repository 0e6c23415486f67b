"""The virtual board as a process: its pseudo-terminal, its first line, its end."""

import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import serial

from edgeq.sim.__main__ import main
from tests.hang import HANG_S
from tests.unit.sim import guests
from tests.unit.sim.conftest import build  # noqa: F401 - a fixture

START_S = HANG_S
READ_S = HANG_S


class Served:
    """A running `python -m edgeq.sim`: what it said first, and how to end it."""

    def __init__(self, process: subprocess.Popen[str], first: dict[str, Any]) -> None:
        self.process, self.first = process, first
        self.port = first["port"]

    def open(self) -> serial.Serial:
        return serial.Serial(self.port, 115200, timeout=READ_S, write_timeout=READ_S)

    def end(self, number: int = signal.SIGTERM) -> dict[str, Any]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=START_S)
        assert self.process.returncode == 0, err
        return json.loads(out)


@contextmanager
def served(elf: Path, *options: str) -> Iterator[Served]:
    command = [sys.executable, "-m", "edgeq.sim", str(elf), "--pty", "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Served(process, json.loads(process.stdout.readline()))
    finally:
        process.kill()
        process.wait(timeout=START_S)


def synced(port: serial.Serial) -> None:
    """Send until the firmware echoes: what comes before it enables its UART is lost.

    However late they come, all echoes of the attempts are read when that of a last byte is.
    """
    port.timeout = 0.3
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        port.write(b"~")
        if port.read_until(b"~").endswith(b"~"):
            break
    else:
        raise AssertionError("the firmware never answered")
    port.timeout = READ_S
    port.write(b"!")
    assert port.read_until(b"!").endswith(b"!")


def echoed(port: serial.Serial, data: bytes) -> bytes:
    """Write all of `data` while reading: the echo fills the line in both directions."""
    writer = threading.Thread(target=port.write, args=(data,))
    writer.start()
    answer = port.read(len(data))
    writer.join(timeout=READ_S)
    return answer


@contextmanager
def opened(board: Served) -> Iterator[int]:
    """The bare terminal, once the firmware has greeted (pyserial would discard the greeting)."""
    port = os.open(board.port, os.O_RDWR | os.O_NOCTTY)
    try:
        assert read_exactly(port, 1) == b"k"
        yield port
    finally:
        os.close(port)


def read_exactly(port: int, count: int) -> bytes:
    data, deadline = b"", time.monotonic() + READ_S
    while len(data) < count and time.monotonic() < deadline:
        if select.select([port], [], [], 1.0)[0]:
            data += os.read(port, count - len(data))
    return data


@pytest.fixture(scope="module")
def echo_elf(build):  # noqa: F811 - the fixture
    return build(guests.ECHO)


@pytest.fixture(scope="module")
def sender_elf(build):  # noqa: F811 - the fixture
    return build(guests.SENDER)


def test_it_names_its_port_echoes_and_cleans_up(echo_elf, tmp_path):
    link = tmp_path / "ttyVIRTUAL"
    with served(echo_elf, "--link", str(link)) as board:
        assert board.first["pid"] == board.process.pid
        assert board.first["board"] == "virtual_m4"
        assert os.readlink(link) == board.port
        with board.open() as port:
            synced(port)
            every = bytes(range(256))
            port.write(every)
            assert port.read(256) == every, "the terminal is not raw"
        summary = board.end()
    assert summary["reason"] == "stopped"
    assert 0 < summary["instructions"] < summary["cycles"]
    assert summary["cycles"] == int(sum(summary["functions"].values()))
    assert not link.is_symlink()
    assert not os.path.exists(board.port)


def test_many_bytes_in_flight_are_not_lost(echo_elf):
    data = random.Random(5).randbytes(100_000)
    with served(echo_elf) as board, board.open() as port:
        synced(port)
        assert echoed(port, data) == data


def test_a_host_that_does_not_read_loses_nothing(sender_elf):
    expected = bytes(i * 7 & 0xFF for i in range(65536))
    with served(sender_elf) as board, opened(board) as port:
        os.write(port, b"s")
        time.sleep(1.0)  # far more is on its way than the line holds
        assert read_exactly(port, 65536) == expected


def test_the_host_may_close_and_open_the_port(echo_elf):
    with served(echo_elf) as board:
        for _ in range(3):
            with board.open() as port:
                synced(port)
                assert echoed(port, b"again" * 500) == b"again" * 500
        assert board.process.poll() is None


def test_waiting_for_the_host_takes_no_time_of_the_cpu(echo_elf):
    with served(echo_elf) as board, board.open() as port:
        synced(port)
        before = _cpu_ticks(board.process.pid)
        time.sleep(1.0)
        assert _cpu_ticks(board.process.pid) - before <= 5  # of about a hundred


def test_cycles_do_not_depend_on_the_host(sender_elf):
    """Twice the same bytes in other portions and at another pace: the same cycles."""

    def session(pause_s: float) -> tuple[bytes, int, int]:
        with served(sender_elf) as board, opened(board) as port:
            answers = b""
            for _ in range(4):
                os.write(port, b"c")
                answers += read_exactly(port, 4)
                time.sleep(pause_s)
            summary = board.end(signal.SIGINT)
        return answers, summary["cycles"], summary["instructions"]

    first = session(0.0)
    assert len(first[0]) == 16
    assert first == session(0.05)


def test_a_firmware_that_faults_ends_the_process_with_a_report(build):  # noqa: F811
    elf = build(guests.FAULT % "default: REG(0x50000000u) = 1;")
    with served(elf) as board:
        _, err = board.process.communicate(timeout=START_S)
    assert board.process.returncode == 5
    assert "write to unmapped address 0x50000000" in err
    assert "in main" in err or "in Reset_Handler" in err
    assert "going down" in err


def test_standard_input_and_output(echo_elf):
    result = subprocess.run(
        [sys.executable, "-m", "edgeq.sim", str(echo_elf), "--stdio"],
        input=b"",
        capture_output=True,
        timeout=START_S,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == b"rdy\n"
    assert b"cycles (modelled" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "which firmware"),
        (["absent.elf"], 2, "cannot read"),
        (["absent.elf", "--board", "nonesuch"], 2, "nonesuch"),
        (["absent.elf", "--board", "nucleo_f446re"], 2, "cannot read"),
    ],
)
def test_wrong_arguments_end_in_one_clear_line(arguments, code, message, capsys):
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert message in err
    assert not out


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])

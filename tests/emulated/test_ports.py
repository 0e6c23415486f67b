"""The ports answer over their UART: in QEMU, and the host port as a process."""

import os
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from edgeq.board import load_board
from edgeq.errors import Toolchain
from edgeq.firmware_project import FirmwareProject
from edgeq.harness.fault import FAULT, fault_in
from edgeq.resources import templates_dir
from edgeq.sim import BufferPort, Machine
from edgeq.toolchain import build, find_compiler, with_board
from tests.compilers import COMPILERS
from tests.hang import HANG_S

MAIN = (Path(__file__).parent / "echo_main.c").read_bytes()
START_TIMEOUT_S = HANG_S
# 'q' is answered with two readings of the counter and the clock, as hexadecimal words
QUERY = b"""
static void put_word(uint32_t word) {
    for (int shift = 28; shift >= 0; shift -= 4) {
        hal_putc((uint8_t) "0123456789abcdef"[(word >> shift) & 15u]);
    }
}
static void answer_query(void) {
    put_word(hal_cycles());
    hal_marker(true);
    put_word(hal_cycles());
    hal_marker(false);
    put_word(hal_clock_hz());
}
int main"""
QUERY_MAIN = MAIN.replace(b"int main", QUERY).replace(
    b"hal_putc((uint8_t)byte);\n        } else",
    b"if (byte == 'q') {\n answer_query();\n } else if (byte == 'f') {\n"
    b"*(volatile uint32_t *)0xF0000000u = 1u;\n"
    b'__asm volatile("udf #0");\n } else {\n hal_putc((uint8_t)byte);\n }\n        } else',
)


@contextmanager
def qemu(machine: str, elf: Path) -> Iterator[serial.Serial]:
    """A QEMU machine that waits until its port is open; killed at the end."""
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")
    command = ["qemu-system-arm", "-M", machine, "-kernel", str(elf), "-S"]
    command += ["-display", "none", "-monitor", "stdio", "-serial", "pty"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        with serial.Serial(_pty_of(process), timeout=START_TIMEOUT_S) as port:
            assert process.stdin is not None
            process.stdin.write(b"cont\n")  # only now, so that no byte is sent to a closed port
            process.stdin.flush()
            yield port
    finally:
        process.kill()
        process.wait(timeout=HANG_S)


def _pty_of(process: subprocess.Popen[bytes]) -> str:
    """The port QEMU names on its output, within the deadline."""
    assert process.stdout is not None
    text, deadline = b"", time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.2)[0]:
            text += os.read(process.stdout.fileno(), 4096)
        found = re.search(rb"redirected to (/dev/\S+)", text)
        if found:
            return found[1].decode()
    raise AssertionError(f"QEMU named no port: {text!r}")


def _built(board_name: str, kind: str, main: bytes, folder: Path) -> Path:
    board = load_board(board_name)
    try:
        compiler = find_compiler(kind)  # type: ignore[arg-type]
    except Toolchain as error:
        pytest.skip(str(error))
    return build(with_board(FirmwareProject({"main.c": main}), board), board, compiler, folder).elf


@pytest.mark.parametrize("kind", COMPILERS)
@pytest.mark.parametrize("board", ["qemu_mps2_an386", "netduinoplus2"])
def test_the_port_greets_and_echoes_in_qemu(board: str, kind: str, tmp_path: Path) -> None:
    elf = _built(board, kind, QUERY_MAIN, tmp_path)
    machine = load_board(board).probe.qemu_machine
    assert machine is not None
    with qemu(machine, elf) as port:
        assert port.read_until(b"ready\r\n") == b"ready\r\n"
        text = bytes(range(32, 64)) + bytes([0, 255, 254])
        for byte in text:  # one by one: a receiver without FIFO drops what comes in a burst
            port.write(bytes([byte]))
            assert port.read(1) == bytes([byte])
        port.write(b"q")
        words = port.read(24)
        before, after, clock_hz = (int(words[i : i + 8], 16) for i in (0, 8, 16))
        assert 0 < (after - before) % 2**32 < 2**24, "the cycle counter stands still"
        assert clock_hz in (load_board(board).clock_hz, 16_000_000)
        port.write(b"f")
        said = port.read_until(b"]\r\n")
        assert re.match(FAULT, said)
        assert fault_in(said)
        port.write(b"no command, profile%")  # who comes later is told too
        assert port.read_until(b"]\r\n") == said


@pytest.mark.parametrize("kind", COMPILERS)
@pytest.mark.parametrize("name", ["virtual_m0plus", "virtual_m4"])
def test_the_port_runs_on_the_virtual_board(name: str, kind: str, tmp_path: Path) -> None:
    board = load_board(name)
    port = BufferPort()
    machine = Machine(board, port).load(_built(name, kind, QUERY_MAIN, tmp_path))
    assert machine.run(deadline_s=HANG_S).reason == "idle"
    port.incoming += b"hello q"  # what came before the UART was on would be lost
    assert machine.run(deadline_s=HANG_S).reason == "idle"
    text = bytes(port.outgoing)
    assert text.startswith(b"ready\r\nhello ")
    words = text.removeprefix(b"ready\r\nhello ")
    before, after, clock_hz = (int(words[i : i + 8], 16) for i in (0, 8, 16))
    assert 0 < after - before < 100_000
    assert clock_hz == board.clock_hz
    levels = [level for _cycles, level in machine.marker_edges if level in (0, 1)]
    assert levels[-2:] == [1, 0], "the marker pin did not pulse"


@pytest.mark.parametrize("sanitize", [False, True], ids=["plain", "asan-ubsan"])
def test_the_host_port_echoes_and_ends_with_its_input(sanitize: bool, tmp_path: Path) -> None:
    cc = shutil.which("cc")
    if cc is None:
        pytest.skip("no host C compiler")
    root = templates_dir()
    (tmp_path / "main.c").write_bytes(MAIN)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
    flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover"] if sanitize else []
    sources = [str(tmp_path / "main.c"), str(root / "port" / "host" / "port.c")]
    program = str(tmp_path / "echo")
    made = subprocess.run(
        [cc, *flags, f"-I{root / 'port'}", *sources, "-o", program],
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    if sanitize and "asan" in made.stderr:
        pytest.skip("the sanitizer libraries are not installed")
    assert made.returncode == 0, made.stderr
    text = bytes(range(256)) * 5
    run = subprocess.run([program], input=text, capture_output=True, timeout=HANG_S)
    assert run.stdout == b"ready\r\n" + text
    assert (run.returncode, run.stderr) == (0, b"")

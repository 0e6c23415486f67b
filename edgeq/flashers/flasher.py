"""What every flasher is: how its program is found, its pure commands, and how they are run."""

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeq.board import Board
from edgeq.errors import Flash, Toolchain
from edgeq.flashers.attached import Surroundings
from edgeq.interrupts import interrupt_waits
from edgeq.toolchain import Firmware

Commands = tuple[tuple[str, ...], ...]
FLASH_TIMEOUT_S = 180.0  # 2 MB at the slowest SWD clock, with the verify
END_S = 5.0  # for a tool that is told to end: it may have a chip to leave sane
_SHOWN_LINES = 20
_CALM_S = 0.2
# hears how far a tool is (0..1, None while that is not known) and what it says it does
Watch = Callable[[float | None, str], None]


def unwatched(_done: float | None, _what: str) -> None:
    """Nobody looks."""


@dataclass(frozen=True)
class Facts:
    """What a command depends on beside firmware and board.

    `program` starts the tool, `serial_number` names one probe, `volume` is the board's drive,
    `port` the serial port of its boot loader, `marker_file` is where a virtual board writes the
    edges of its marker pin, `sound` the WAV file that its microphone hears, `serve` the HOST:PORT
    at which it has its serial port instead of a pseudo-terminal, `watch` hears of the progress.
    """

    program: tuple[str, ...]
    serial_number: str | None = None
    volume: Path | None = None
    port: str | None = None
    marker_file: Path | None = None
    sound: Path | None = None
    serve: str | None = None
    watch: Watch = unwatched


@dataclass(frozen=True)
class Flasher:
    """One tool. Only `find` and `run` touch the machine.

    `find` gives the facts or raises Toolchain (not installed, with how to install it) or Link (no
    volume); `assumed` gives those of a dry run without the tool; `hint` is what to know before.
    """

    find: Callable[[Board, Surroundings], Facts]
    assumed: Callable[[Board], Facts]
    commands: Callable[[Firmware, Board, Facts], Commands]
    run: Callable[[Firmware, Board, Facts, Commands], dict[str, Any]]
    hint: Callable[[Board], str | None] = lambda _board: None


def run_commands(
    commands: Commands, timeout_s: float = FLASH_TIMEOUT_S, watch: Watch = unwatched
) -> None:
    """Runs one command after the other; Flash with the tool's own words when one fails.

    A tool that is interrupted or late is told to end, and killed when it does not.
    """
    for command in commands:
        _run(command, timeout_s, watch)


def run_tool(
    _firmware: Firmware, _board: Board, facts: Facts, commands: Commands
) -> dict[str, Any]:
    """The `run` of a tool that talks to a boot loader: no hint is left when it has ended."""
    run_commands(commands, watch=facts.watch)
    return {"hint": None}


def _run(command: tuple[str, ...], timeout_s: float, watch: Watch) -> None:
    module = command[1:2] == ("-m",)  # of edgeq, run by this Python
    name, deadline = command[2] if module else Path(command[0]).name, time.monotonic() + timeout_s
    process, output = None, bytearray()
    try:
        with interrupt_waits():  # in the middle of it, the tool would be nobody's
            process = _start(command)
        _listen(process, output, deadline, watch)
        code = process.wait(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        said = last_words(output.decode(errors="replace"))
        raise Flash(f"{name} did not end within {timeout_s:g} s; stopped{said}") from None
    finally:
        if process is not None:
            _end(process)
    if code in (-signal.SIGINT, 128 + signal.SIGINT):  # the terminal told it first
        raise KeyboardInterrupt
    if code != 0:
        said = last_words(output.decode(errors="replace"))
        raise Flash(f"{name} failed with exit code {code}{said}")


def _start(command: tuple[str, ...]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,  # a tool that asks which probe to take must not wait
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise Toolchain(f"{command[0]} cannot be run: {error}") from None


def _listen(
    process: subprocess.Popen[bytes], output: bytearray, deadline: float, watch: Watch
) -> None:
    """Gathers what the tool says until it ends, or until the deadline."""
    assert process.stdout is not None
    pipe, told = process.stdout.fileno(), None
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([pipe], [], [], min(left, _CALM_S))[0]:
            if process.poll() is not None:  # a child of its own may keep the pipe open
                return
            continue
        data = os.read(pipe, 65536)
        if not data:
            return
        output += data
        heard = progress_in(output[-400:].decode(errors="replace"))
        if heard is not None and heard != told:
            watch(*heard)
            told = heard


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leaves no tool behind."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=END_S)
    if process.poll() is None:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def progress_in(text: str) -> tuple[float | None, str] | None:
    """The last sign of progress in a tool's words: a percentage, or OpenOCD's `** ... **`."""
    signs = list(re.finditer(r"(?<![\w.])(\d{1,3})(?:\.\d+)?\s?%|\*\* ([^*\n]+) \*\*", text))
    if not signs:
        return None
    percent, stage = signs[-1].groups()
    if stage is not None:
        return None, stage
    return min(int(percent), 100) / 100, "writing"


def last_words(*streams: str) -> str:
    """The last lines of a tool's output, to be appended to an error."""
    lines = [line for stream in streams for line in stream.splitlines() if line.strip()]
    return ":\n" + "\n".join(f"  {line}" for line in lines[-_SHOWN_LINES:]) if lines else ""

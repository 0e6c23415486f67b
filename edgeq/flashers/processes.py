"""Emulated boards as background processes: started, listed, stopped.

One record file for each lies in a folder of this user's alone. A record counts only while the
process it was written for lives: the start time tells a later process of the same number apart.
"""

import contextlib
import json
import os
import select
import signal
import socket
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import platformdirs
import psutil

from edgeq.errors import BadInput, Flash, Link, Toolchain
from edgeq.flashers.flasher import last_words
from edgeq.interrupts import interrupt_waits

START_TIMEOUT_S = 60.0  # a loaded machine
_SETTLE_S = 1.0
_TERM_S, _KILL_S, _CALM_S = 10.0, 5.0, 0.05


@dataclass(frozen=True)
class Running:
    """An emulated board; `started` is UTC, `identity` what no later process of that pid has.

    `tool`: "virtual" has a clock model, "qemu" has none; "" in a record of an older edgeq.
    """

    board: str
    port: str
    pid: int
    elf: str
    started: str
    identity: str
    tool: str = ""


def records_folder() -> Path:
    """The folder of the records, made if need be; Flash if it is not this user's alone.

    In this user's runtime folder; where that cannot be made, as the one of another user's session,
    among the temporary files.
    """
    with warnings.catch_warnings():  # a stand-in serves as well, and is the same the next time
        warnings.simplefilter("ignore", platformdirs.RuntimeDirWarning)
        try:
            folder = platformdirs.user_runtime_path("edgeq", ensure_exists=True)
        except OSError:
            folder = Path(tempfile.gettempdir()) / f"edgeq-{os.getuid()}"
            with contextlib.suppress(FileExistsError):
                folder.mkdir(mode=0o700)
    if os.name == "posix":
        _require_alone(folder)
    return folder


def _require_alone(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise Flash(f"{folder} is not a folder of this user's; remove it or set XDG_RUNTIME_DIR")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise Flash(f"{folder} is open to other users; chmod 700 it, or remove it")


def identity(pid: int) -> str | None:
    """What tells a living process from a later one of its number; None if it is gone.

    When it started. Linux knows that from boot on: the time of day is left out of it, since a clock
    that is set meanwhile, as on a computer without a battery, would make it another process.
    """
    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        since = psutil.boot_time() if psutil.LINUX else 0.0
        return f"{process.create_time() - since:.2f}"
    except psutil.Error:  # gone, or another user's by now
        return None


def start(
    command: tuple[str, ...],
    board: str,
    elf: Path,
    port_in: Callable[[str], str | None],
    tool: str = "",
    terminal: bool = False,
    timeout_s: float = START_TIMEOUT_S,
) -> Running:
    """Starts `command` in a session of its own and waits until its output names the port.

    `terminal` gives it a terminal to write to, for a program that holds its lines back otherwise.
    Flash with its own words if it ends, or names no port in time; nothing is left running then.
    """
    folder = records_folder()
    output, its_end = os.openpty() if terminal else os.pipe()
    with tempfile.TemporaryFile() as words, os.fdopen(output, "rb", buffering=0) as lines:
        process = None
        try:
            try:
                with interrupt_waits():  # in the middle of it, the board would be nobody's
                    process = _begin(command, its_end, words)
            finally:
                os.close(its_end)
            port = _wait_for_port(lines.fileno(), process, port_in, timeout_s)
            if terminal and port is not None:  # QEMU names the port before it reads the firmware
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_SETTLE_S)
            known = identity(process.pid)
            if port is None or known is None:
                process.kill()
                code = process.wait()
                words.seek(0)
                said = last_words(words.read().decode(errors="replace"))
                why = f"ended with {code}" if code != -signal.SIGKILL else "named no port in time"
                raise Flash(f"{board} did not start ({why}){said}")
            now = datetime.now(UTC).isoformat(timespec="seconds")
            running = Running(board, port, process.pid, str(elf), now, known, tool)
            _write(folder, running)
        except BaseException:  # Ctrl-C too leaves nothing running
            if process is not None:
                process.kill()
                process.wait()
            raise
    return running


def _begin(command: tuple[str, ...], output: int, words: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=words,
            start_new_session=True,
        )
    except OSError as error:
        raise Toolchain(f"{command[0]} cannot be run: {error}") from None


def _wait_for_port(
    output: int,
    process: subprocess.Popen[bytes],
    port_in: Callable[[str], str | None],
    timeout_s: float,
) -> str | None:
    text, deadline = b"", time.monotonic() + timeout_s
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([output], [], [], min(left, 0.2))[0]:
            continue
        try:
            data = os.read(output, 4096)
        except OSError:  # a terminal whose other end is closed
            data = b""
        text += data
        port = port_in(text.decode(errors="replace"))
        if port is not None:
            return port
        if not data:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, left))
            return None
    return None


def _write(folder: Path, running: Running) -> None:
    part = folder / f"{running.pid}.part"
    part.write_text(json.dumps(asdict(running)) + "\n")
    part.replace(folder / f"{running.pid}.json")  # a reader sees a whole record or none


def is_virtual(port: str) -> bool:
    """True if a virtual board, whose clock is modelled, serves `port`."""
    return any(same_port(record.port, port) and record.tool == "virtual" for record in running())


def same_port(a: str, b: str) -> bool:
    """Whether two names are of one port: this computer has several names in a URL."""
    return a == b or _endpoint(a) == _endpoint(b) is not None


def _endpoint(port: str) -> str | None:
    """The TCP port of a socket:// URL on this computer."""
    host, _, number = port.removeprefix("socket://").rpartition(":")
    return number if port.startswith("socket://") and here(host) else None


def here(host: str) -> bool:
    """Whether a host name is this computer's own."""
    return host in ("localhost", "127.0.0.1", "::1", socket.gethostname())


def running() -> tuple[Running, ...]:
    """The emulated boards that live, oldest first; records of dead ones are removed."""
    alive = []
    for path in sorted(records_folder().glob("*.json")):
        record = _read(path)
        if record is not None and identity(record.pid) == record.identity:
            alive.append(record)
        else:
            path.unlink(missing_ok=True)
    return tuple(sorted(alive, key=lambda record: (record.started, record.pid)))


def _read(path: Path) -> Running | None:
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        record = Running(**facts)
    except (OSError, ValueError, TypeError):
        return None
    return record if type(record.pid) is int and record.pid > 1 else None


def stop(which: str | None = None, everything: bool = False) -> tuple[Running, ...]:
    """Stops the board of that port, pid or name, the only one, or all; returns what it stopped.

    Raises Link when there is no such board, BadInput when `which` could mean several.
    """
    alive = running()
    chosen = alive if everything else _chosen(which, alive)
    for record in chosen:
        _end(record)
    return chosen


def _chosen(which: str | None, alive: tuple[Running, ...]) -> tuple[Running, ...]:
    listed = ", ".join(f"{r.board} on {r.port} (pid {r.pid})" for r in alive) or "none"
    chosen = tuple(r for r in alive if which in (None, r.port, str(r.pid), r.board))
    if not chosen:
        given = f"no emulated board {which!r} runs" if which else "no emulated board runs"
        raise Link(f"{given}; running: {listed}")
    if len(chosen) > 1:
        raise BadInput(f"which one? give a port, a pid, or --all; running: {listed}")
    return chosen


def _end(record: Running) -> None:
    """By SIGTERM, then by SIGKILL. psutil would wait for a zombie of another process: we do not."""
    for signal_it, wait_s in ((psutil.Process.terminate, _TERM_S), (psutil.Process.kill, _KILL_S)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(record.pid)
            if identity(record.pid) == record.identity:
                signal_it(process)  # not if the number has changed hands since the line above
        deadline = time.monotonic() + wait_s
        while identity(record.pid) == record.identity and time.monotonic() < deadline:
            time.sleep(_CALM_S)
    if identity(record.pid) == record.identity:
        raise Flash(f"{record.board} (pid {record.pid}) does not end, not even by SIGKILL")
    with contextlib.suppress(ChildProcessError):  # ours only if this very process started it
        os.waitpid(record.pid, os.WNOHANG)
    (records_folder() / f"{record.pid}.json").unlink(missing_ok=True)

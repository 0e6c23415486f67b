"""QEMU as second opinion: what a firmware says there, and how many instructions it executes.

QEMU executes one instruction in each translation block (-singlestep) and logs each execution; one
that its own event loop interrupts it logs as stopped, and again when it goes on. So the lines of
its log are the instructions. An inference logs a gigabyte: its lines are counted as they come,
through a pipe. The firmware must end by the semihosting exit.
"""

import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.hang import HANG_S

EXECUTED, STOPPED = b"\nTrace ", b"\nStopped"
HERE = shutil.which("qemu-system-arm") is not None


@dataclass(frozen=True)
class QemuRun:
    """Bytes of the serial port, and executed instructions."""

    said: bytes
    instructions: int


def in_qemu(elf: Path, folder: Path, deadline_s: float = HANG_S) -> QemuRun:
    """Runs `elf` on QEMU's mps2-an386 to its end; fails when that does not come in time."""
    said = folder / "serial"
    command = ["qemu-system-arm", "-M", "mps2-an386", "-kernel", str(elf), "-display", "none"]
    command += ["-monitor", "none", "-serial", f"file:{said}"]
    command += ["-semihosting-config", "enable=on,target=native"]
    instructions = counted(command, deadline_s)
    return QemuRun(said.read_bytes(), instructions)


def counted(command: list[str], deadline_s: float) -> int:
    """The instructions of a run of QEMU, which must end by itself, well, and in time."""
    command = [*command, "-singlestep", "-d", "nochain,exec", "-D", "/dev/stdout"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        killer = threading.Timer(deadline_s, process.kill)
        killer.start()
        instructions = _executed(process)
        killer.cancel()
        assert process.stderr is not None
        complaint = process.stderr.read()
    assert process.returncode == 0, f"QEMU ended with {process.returncode}: {complaint!r}"
    return instructions


def _executed(process: subprocess.Popen[bytes]) -> int:
    """Lines that begin with EXECUTED less those with STOPPED, counted without keeping them."""
    assert process.stdout is not None
    count, tail = 0, b"\n"
    while chunk := process.stdout.read(1 << 20):
        text = tail + chunk
        whole = text.rfind(b"\n")
        count += text.count(EXECUTED, 0, whole) - text.count(STOPPED, 0, whole)
        tail = text[whole:]
    return count

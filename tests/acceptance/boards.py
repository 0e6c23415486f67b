"""Ways to run a firmware: a function of it called in memory, and boards behind a serial port."""

import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgeq.board import load_board
from edgeq.harness.link import Link
from edgeq.sim import Machine

Array = npt.NDArray[Any]
START_TIMEOUT_S = 120.0  # a loaded machine
STACK_BYTES = 8192  # at the top of RAM; its lowest bytes are free for the operands of a call
OUTPUT_OFFSET = 4096


@dataclass(frozen=True)
class Answers:
    """What the device said: output (rows, classes) int8, route (rows,), cycles (rows,)."""

    output: Array
    route: Array
    cycles: Array


def call_infer(elf: Path, rows: Array, classes: int) -> Answers:
    """edgeq_infer of a virtual_m4 firmware, called in memory row by row; cycles in halves."""
    machine = Machine(load_board("virtual_m4")).load(elf)
    base = machine.config.ram_origin + machine.config.ram_bytes - STACK_BYTES
    machine.call("edgeq_init")
    results = []
    for row in rows:
        machine.write(base, row.tobytes())
        before = machine.clock.half
        called = machine.call("edgeq_infer", (base, base + OUTPUT_OFFSET))
        taken = (machine.clock.half - before) / 2
        assert called.r0 == 0
        output = np.frombuffer(machine.read(base + OUTPUT_OFFSET, classes), np.int8)
        results.append((output, machine.call("edgeq_route").r0, taken))
    return _answers(results)


def stream(port: str, rows: Array) -> Answers:
    """Rows through edgeq's serial protocol, as `edgeq profile` sends them."""
    with Link.open(port, timeout=START_TIMEOUT_S, infer_timeout=START_TIMEOUT_S) as link:
        results = [link.infer(i, row.tobytes()) for i, row in enumerate(rows)]
    return _answers([(r.output, r.route, r.cycles) for r in results])


def _answers(results: list[tuple[Array, int, float]]) -> Answers:
    output, route, cycles = zip(*results, strict=True)
    return Answers(np.array(output), np.array(route), np.array(cycles))


@contextmanager
def virtual_board(elf: Path) -> Iterator[str]:
    """The port of a virtual board that runs `elf`; ended afterwards."""
    command = [sys.executable, "-m", "edgeq.sim", str(elf), "--pty", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["port"]
    finally:
        process.kill()
        process.communicate(timeout=START_TIMEOUT_S)


@contextmanager
def qemu_board(machine: str, elf: Path) -> Iterator[str]:
    """The port of a QEMU machine that runs `elf`; killed afterwards. Skips without QEMU."""
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")
    command = ["qemu-system-arm", "-M", machine, "-kernel", str(elf)]
    command += ["-display", "none", "-monitor", "none", "-serial", "pty"]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield _pty_of(process)
    finally:
        process.kill()
        process.wait(timeout=START_TIMEOUT_S)


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

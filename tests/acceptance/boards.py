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
from edgeq.firmware_project import FirmwareProject
from edgeq.harness.link import BoardLink
from edgeq.sim import Machine
from edgeq.toolchain import Compiler, build, with_board
from tests.hang import HANG_S

Array = npt.NDArray[Any]
START_TIMEOUT_S = HANG_S
STACK_BYTES = 8192  # at the top of RAM; its lowest bytes are free for the operands of a call
OUTPUT_OFFSET = 4096


@dataclass(frozen=True)
class Answers:
    """What the device said: output (rows, classes) int8, route (rows,), cycles (rows,)."""

    output: Array
    route: Array
    cycles: Array


def call_infer(elf: Path, rows: Array, classes: int, board: str = "virtual_m4") -> Answers:
    """served_infer of a virtual board's firmware, called in memory row by row; cycles in halves."""
    machine = Machine(load_board(board)).load(elf)
    base = machine.config.ram_origin + machine.config.ram_bytes - STACK_BYTES
    machine.call("served_init")
    results = []
    for row in rows:
        machine.write(base, row.tobytes())
        before = machine.clock.half
        called = machine.call("served_infer", (base, base + OUTPUT_OFFSET))
        taken = (machine.clock.half - before) / 2
        assert called.r0 == 0
        output = np.frombuffer(machine.read(base + OUTPUT_OFFSET, classes), np.int8)
        results.append((output, machine.call("served_route").r0, taken))
    return _answers(results)


def stream(port: str, rows: Array) -> Answers:
    """Rows through edgeq's serial protocol, as `edgeq profile` sends them."""
    with BoardLink.open(port, timeout=START_TIMEOUT_S, infer_timeout=START_TIMEOUT_S) as link:
        results = [link.infer(i, row.tobytes()) for i, row in enumerate(rows)]
    return _answers([(r.output, r.route, r.cycles) for r in results])


def qemu_batch(project: FirmwareProject, compiler: Compiler, rows: Array, folder: Path) -> Answers:
    """Rows through edgeq_infer on QEMU's mps2-an386, laid into its memory; no cycles."""
    board = load_board("qemu_mps2_an386")
    main = {"main.c": (Path(__file__).parent / "batch.c").read_bytes()}
    built = build(with_board(project, board).with_files(main), board, compiler, folder / "batch")
    (folder / "rows.bin").write_bytes(len(rows).to_bytes(4, "little") + rows.tobytes())
    said = folder / "said.bin"
    more = ["-device", f"loader,file={folder / 'rows.bin'},addr=0x21000000,force-raw=on"]
    size = re.search(rb"_OUTPUT_COUNT (\d+)", b"".join(project.files.values()))
    assert size is not None
    answer = np.dtype([("output", np.int8, int(size[1])), ("route", np.int8)])
    with _qemu("mps2-an386", built.elf, f"file:{said}", *more):
        deadline = time.monotonic() + START_TIMEOUT_S + len(rows)
        while not said.exists() or said.stat().st_size < len(rows) * answer.itemsize:
            assert time.monotonic() < deadline, "QEMU gave no answers in time"
            time.sleep(0.2)
    answers = np.fromfile(said, answer)
    return Answers(answers["output"], answers["route"], np.zeros(len(rows)))


def _answers(results: list[tuple[Array, int, float]]) -> Answers:
    output, route, cycles = zip(*results, strict=True)
    return Answers(np.array(output), np.array(route), np.array(cycles))


@contextmanager
def virtual_board(elf: Path, board: str = "virtual_m4") -> Iterator[str]:
    """The port of a virtual board that runs `elf`; ended afterwards."""
    command = [sys.executable, "-m", "edgeq.sim", str(elf), "--board", board, "--pty", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["port"]
    finally:
        process.kill()
        process.communicate(timeout=START_TIMEOUT_S)


@contextmanager
def qemu_board(
    machine: str, elf: Path, program: str = "qemu-system-arm", *more: str
) -> Iterator[str]:
    """The port of a QEMU machine that runs `elf`; killed afterwards. Skips without QEMU."""
    with _qemu(machine, elf, "pty", *more, program=program) as process:
        yield _pty_of(process)


@contextmanager
def _qemu(
    machine: str, elf: Path, serial: str, *more: str, program: str = "qemu-system-arm"
) -> Iterator[subprocess.Popen[bytes]]:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    command = [program, "-M", machine, "-kernel", str(elf), "-serial", serial]
    command += ["-display", "none", "-monitor", "none", *more]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield process
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

"""Several ports, int16 activations and a state in QEMU's Cortex-M4, over the serial protocol."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq import flashers
from edgeq.board import load_board
from edgeq.compiled import compile_graph
from edgeq.ir import Graph
from edgeq.prove.again import on_board
from edgeq.reference import random_rows
from edgeq.toolchain import build, find_compiler, with_board
from tests.port_graphs import two_by_two, wide_delay, wide_input, with_delay

ROWS = 16  # as many as the proof asks a board
full = pytest.mark.full


@pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is absent")
@pytest.mark.parametrize(
    "make",
    [
        wide_delay,
        pytest.param(wide_input, marks=full),
        pytest.param(two_by_two, marks=full),
        pytest.param(with_delay, marks=full),
    ],
)
@pytest.mark.parametrize("kind", ["gcc", pytest.param("zig", marks=full)])
def test_qemu_answers_as_the_reference(
    make: Callable[[], Graph], kind: str, tmp_path: Path
) -> None:
    graph, board = make(), load_board("qemu_mps2_an386")
    compiled = compile_graph(graph, "ports", "ab" * 32)
    found = find_compiler(kind)
    firmware = build(with_board(compiled.project, board), board, found, tmp_path, "-O2")
    flashed = flashers.flash(firmware, board)
    try:
        rows = random_rows(compiled.graph, ROWS, 3)
        check = on_board(compiled, rows, tmp_path, flashed["port"], board.uart.baud)
    finally:
        flashers.stop(str(flashed["port"]))
    assert check.passed, check.said
    assert (check.samples, check.mismatches) == (ROWS, 0)

"""Cortex-M55: whole networks by vectors answer as the reference in QEMU, by both compilers."""

from pathlib import Path

import pytest

from edgeq.arrays import channels_last
from edgeq.board import load_board
from edgeq.ir import Graph
from edgeq.passes.select_kernels import select_kernels
from edgeq.reference import quantize_rows
from tests.acceptance.boards import qemu_board
from tests.acceptance.conftest import Digits
from tests.acceptance.test_riscv import ESC10, assert_answers, firmware
from tests.kernels.mve.machine import BOARD, MACHINE

KINDS = ["gcc", "zig"]


def by_vectors(graph: Graph) -> set[str]:
    """Kernels of the graph, its experts' too, that are compiled for the board's vectors."""
    chosen = select_kernels(graph, load_board(BOARD).features)
    nodes = list(chosen.nodes)
    for node in chosen.nodes:
        nodes += [n for e in getattr(node.attrs, "experts", ()) for n in e.graph.nodes]
    return {str(n.kernel) for n in nodes if str(n.kernel).endswith("_mve")}


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_digits_answer(kind: str, digits: Digits, tmp_path: Path) -> None:
    assert by_vectors(digits.graph)
    with qemu_board(MACHINE, firmware(digits.graph, BOARD, kind, tmp_path).elf) as port:
        assert_answers(port, digits.graph, digits.rows[:40])


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_esc10_answers(kind: str, tmp_path: Path) -> None:
    import edgeq
    from edgeq.frontend.torch_loader import graph_of
    from edgeq.passes import quantize

    model = edgeq.load(ESC10)
    calibration = channels_last(model.calibration)
    graph = quantize(graph_of(model), calibration, "mse", frozenset()).graph
    assert by_vectors(graph)
    with qemu_board(MACHINE, firmware(graph, BOARD, kind, tmp_path).elf) as port:
        assert_answers(port, graph, quantize_rows(graph, calibration[:3]))

"""Cascades of layers as PyTorch makes them, by every signal that reads heads, and exits: each path
in QEMU, and its time proven."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgeq.board import load_board
from edgeq.emit.firmware_layers import layer_table
from edgeq.estimating import Estimated, Shares, estimate_boards
from edgeq.harness.link import BoardLink
from edgeq.ir import Graph
from edgeq.ops.op import Array
from edgeq.passes.freeze_cascade import with_thresholds
from edgeq.passes.freeze_router import chosen_experts
from edgeq.passes.select_kernels import select_kernels
from edgeq.prove.firmware import answer_of
from edgeq.prove.trials import answers_of
from edgeq.reference import quantize_rows
from edgeq.toolchain import find_compiler
from tests.acceptance.boards import qemu_board
from tests.hang import HANG_S
from tests.unit.cascade.made import quantized, rows
from tests.unit.cascade.test_cascade_firmware import built
from tests.unit.cascade.test_exits import X, integers
from tests.unit.cascade.test_heads import model_of

MADE: dict[str, Callable[[], Graph]] = {
    **{
        name: lambda n=name: quantized(model_of(n, trunk=True)).graph  # type: ignore[misc]
        for name in ("monte_carlo", "ensemble", "router", "deep router")
    },
    "exits": lambda: integers("ensemble"),
}


@cache
def made(name: str) -> tuple[Graph, Array]:
    """The graph, its kernels a DSP core's, and rows."""
    graph = select_kernels(MADE[name](), frozenset({"dsp"}))
    x = X.transpose(0, 2, 3, 1) if name == "exits" else rows()
    return graph, quantize_rows(graph, x)[:24]


@pytest.mark.full
@pytest.mark.parametrize("name", MADE)
def test_qemu_answers_as_the_reference(name: str, tmp_path: Path) -> None:
    graph, x = made(name)
    rule, stages = graph.nodes[-1].attrs.rule, len(graph.nodes[-1].attrs.experts) - 1
    own = tuple(graph.param(graph.nodes[-1], "thresholds").tolist())
    seen = set[int]()
    for limits in (own, (rule.always,) * stages, (rule.never,) * stages):
        moved = with_thresholds(graph, limits)
        elf = built(moved, "qemu_mps2_an386", tmp_path / "_".join(map(str, limits)))
        with (
            qemu_board("mps2-an386", elf) as port,
            BoardLink.open(port, timeout=HANG_S, infer_timeout=HANG_S) as link,
        ):
            answers = [answer_of(moved, link.infer(i, row.tobytes())) for i, row in enumerate(x)]
        assert answers == list(answers_of(moved, x))
        seen |= {answer.route for answer in answers}
    assert {0, stages} <= seen


@pytest.mark.parametrize("name", MADE)
def test_the_time_of_every_path_is_proven(name: str) -> None:
    graph, x = made(name)
    chosen = chosen_experts(graph, x)
    shares = Shares.of_rows("rows", chosen)
    subject = Estimated("m", "56" * 32, graph, x, "rows", chosen, shares)
    board, compiler = load_board("virtual_m4"), find_compiler("auto")
    (entry,) = estimate_boards(subject, [board], compiler, prove=True)["boards"]
    proof, stages = entry["constant_time"], len(graph.nodes[-1].attrs.experts)
    assert proof["core_cycles"] == "proven", proof["said"]
    assert proof["trace"]["chooses_experts"] == stages - 1
    assert len(entry["routes"]) == stages
    heads = [n.name for n in graph.nodes[-1].attrs.experts[0].graph.nodes if "heads" in n.name]
    assert heads, "it shows nothing of heads"
    assert len(layer_table(graph)) > len(heads)
    assert np.ptp([route["latency_s"] for route in entry["routes"]]) > 0

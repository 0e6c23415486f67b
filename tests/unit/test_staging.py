"""Weights that a layer reads from RAM: where, which, and that the firmware answers the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn, pipeline
from edgeq.arrays import channels_last
from edgeq.board import Board, load_board
from edgeq.errors import Mismatch, ModelFile
from edgeq.estimating import costed
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph
from edgeq.kernels.staging import staged_bytes
from edgeq.memory import STAGED, plan_memory
from edgeq.ops.graph_file import encoded, write_graph
from edgeq.ops.graph_note import _without_kernels
from edgeq.passes import quantize
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stored_graph import stored_graph
from edgeq.staging import stage_weights, staged_layers
from edgeq.weights import pack_weights
from tests.compilers import COMPILERS
from tests.unit.prove.conftest import Spoil, spoil  # noqa: F401

SHAPE = (3, 12, 12)
L4, M4 = load_board("nucleo_l4r5zi"), load_board("virtual_m4")


def body() -> Any:
    torch.manual_seed(1)
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, "int8", padding=1), nn.ReLU()),
        *(nn.Conv2d(16, 16, 3, "int8", padding=1, groups=16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 1, "int4"), nn.ReLU()),
        *(nn.Conv2d(32, 32, 3, "ternary", padding=1), nn.ReLU()),
        *(nn.GlobalAvgPool(), nn.Linear(32, 4)),
    )


def mixture() -> Any:
    torch.manual_seed(2)
    kinds = ("ternary", "int8")
    experts = [
        nn.Sequential(
            *(nn.Conv2d(16, 32, 1, k), nn.ReLU()),
            *(nn.Conv2d(32, 32, 3, k), nn.ReLU()),
            *(nn.GlobalAvgPool(), nn.Linear(32, 4, k)),
        )
        for k in kinds
    ]
    router = nn.BayesianRouter(16, 2, hidden=(8, 4), passes=4)
    trunk = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU())
    return nn.TrunkMixture(trunk, nn.Mixture(experts, router, kinds, rule="off"))


def wide() -> Any:
    """Its fullest step is the layer that gains most."""
    torch.manual_seed(3)
    layers = [nn.Conv2d(3, 32, 3, "int8", padding=1), nn.ReLU(), nn.Conv2d(32, 64, 1, "int8")]
    return nn.Sequential(*layers, nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(64, 4))


def model_of(made: Any, shape: tuple[int, ...] = SHAPE) -> nn.Model:
    x = np.random.default_rng(1).normal(size=(40, *shape)).astype(np.float32)
    model = nn.Model(made, shape, name="staged")
    model.calibrate(x)
    return model


def graph_for(made: Any, board: Board, shape: tuple[int, ...] = SHAPE) -> Graph:
    x = channels_last(np.random.default_rng(1).normal(size=(16, *shape)).astype(np.float32))
    graph = quantize(graph_of(model_of(made, shape)), x, "mse", board.features).graph
    return stage_weights(graph, board)


def with_ram(size: int) -> Board:
    return L4.model_copy(update={"ram": L4.ram.model_copy(update={"bytes": size})})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    edgeq.save(model_of(body()), tmp_path / "m.pt")
    return tmp_path / "m.pt"


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_board_with_wait_states_reads_weights_from_ram(
    compiler: str, saved: Path, tmp_path: Path
) -> None:
    report = pipeline.export(saved, L4.name, tmp_path / "out", compiler=compiler)
    convolutions = {x["name"] for x in report["layers"] if x["op"] == "conv_2d"}
    assert set() < set(report["staged"]) <= convolutions
    (proof,) = (c for c in report["checks"] if c["name"] == "firmware")
    assert proof["passed"]
    assert f"every output of {len(report['layers'])} layers" in proof["said"]
    text = (tmp_path / "out" / "firmware" / "model" / "staged.c").read_text()
    assert text.count("edgeq_conv_2d_staged(&layer_") == len(report["staged"])
    said = (tmp_path / "out" / "report.txt").read_text()
    assert "weights read from RAM, as the flash has wait states" in said


@pytest.mark.full
def test_fewer_cycles_than_from_flash(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modelled cycles, which are exact, of the same model with and without."""

    def worst(folder: str) -> float:
        report = edgeq.export(saved, L4.name, tmp_path / folder)
        return float(report["estimate"]["routes"][-1]["latency_s"])

    staged = worst("staged")
    monkeypatch.setattr(costed, "staged_places", lambda *_: frozenset())
    assert staged < worst("flash")


@pytest.mark.full
def test_a_board_without_wait_states_does_not(saved: Path, tmp_path: Path) -> None:
    report = pipeline.export(saved, M4.name, tmp_path / "out")
    assert report["staged"] == {}
    assert not (tmp_path / "out/firmware/kernels/edgeq_conv_2d_staged.c").exists()


@pytest.mark.full
def test_plain_kernels_have_no_stream_to_stage(saved: Path, tmp_path: Path) -> None:
    report = pipeline.export(saved, L4.name, tmp_path / "out", objective="size")
    assert report["staged"] == {}


def test_a_fault_in_the_copy_leaves_no_export(
    saved: Path,
    tmp_path: Path,
    spoil: Spoil,  # noqa: F811
) -> None:
    spoil("edgeq_conv_2d_staged.c", "from[at + 5]", "from[at + 4]")
    with pytest.raises(Mismatch, match="firmware"):
        pipeline.export(saved, L4.name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_experts_share_the_room_that_the_largest_has() -> None:
    plain, staged = graph_for(mixture(), M4), graph_for(mixture(), L4)
    assert {name.partition("/")[0] for name in staged_layers(staged) if "/" in name}
    largest = [max(p.arena_bytes for p in plan_memory(g).experts) for g in (plain, staged)]
    assert largest[1] <= largest[0]


def test_an_arena_grows_in_half_of_the_ram_alone() -> None:
    shape = (3, 24, 24)
    least = plan_memory(graph_for(wide(), M4, shape)).arena_bytes
    free, small = (graph_for(wide(), b, shape) for b in (L4, with_ram(2 * least)))
    assert plan_memory(free).arena_bytes > least
    assert plan_memory(small).arena_bytes <= least
    assert set(staged_layers(small)) < set(staged_layers(free))


def test_the_plan_holds_a_place_of_its_own_for_them() -> None:
    graph = graph_for(body(), L4)
    plan = plan_memory(graph)
    for node in (n for n in graph.nodes if n.staged):
        own = plan.buffer(node.name + STAGED)
        assert own.bytes == staged_bytes(graph, node)
        step = list(graph.nodes).index(node)
        assert (own.first, own.last) == (step, step)


def test_a_file_keeps_it_and_another_core_forgets_it(tmp_path: Path) -> None:
    graph = graph_for(body(), L4)
    write_graph(graph, tmp_path / "graph.npz")
    again = stored_graph(tmp_path / "graph.npz")
    assert staged_layers(again) == staged_layers(graph) != {}
    assert staged_layers(select_kernels(again, frozenset({"v6m"}))) == {}


def test_a_file_that_stages_what_cannot_be_is_refused(tmp_path: Path) -> None:
    graph = graph_for(body(), L4)
    depthwise = [replace(n, staged=n.op == "DepthwiseConv2D") for n in graph.nodes]
    write_graph(graph.with_nodes(depthwise), tmp_path / "graph.npz")
    with pytest.raises(ModelFile, match="cannot read its weights from RAM"):
        stored_graph(tmp_path / "graph.npz")


@pytest.mark.parametrize("made", [body, mixture])
def test_the_bytes_are_those_of_the_array_that_the_kernel_reads(made: Any) -> None:
    graph = graph_for(made(), L4)
    packed = pack_weights(graph)
    sizes = {constant.symbol: constant.bytes for constant in packed.constants}
    for name, count in staged_layers(graph).items():
        owner, _, own = name.rpartition("/")
        assert count == sizes[packed.symbols[owner, own, "weight"]]


def test_the_note_of_a_mixture_is_the_same_for_every_board() -> None:
    plain, staged = graph_for(mixture(), M4), graph_for(mixture(), L4)
    assert staged_layers(staged)
    bare, other = (encoded(_without_kernels(graph))[0] for graph in (plain, staged))
    assert other == bare

"""Cascades as graphs: frozen thresholds, the reference, what verify and stored files refuse."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.errors import BadInput, EdgeqError, ModelFile, UnsupportedOp
from edgeq.ir import Graph, Node
from edgeq.memory import plan_memory
from edgeq.ops.graph_file import read_graph, write_graph
from edgeq.ops.mixture import Expert
from edgeq.passes.freeze_cascade import effect, routes_under, with_thresholds
from edgeq.passes.freeze_router import chosen_experts
from edgeq.passes.stored_graph import stored_graph
from edgeq.passes.verify import verify
from edgeq.reference import quantize_rows, run, run_all_stages
from tests.factory import cascade_graph, fc_graph, input_rows, smallest_cascade
from tests.unit.cascade.made import cascade_model, quantized, rows

THREE = cascade_graph(np.random.default_rng(4), ("t2", "s4", "s8"))
ROWS = input_rows(np.random.default_rng(1), THREE, 60)


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(0, 256), st.integers(0, 256)))
def test_the_reference_is_the_first_stage_that_is_sure(limits: tuple[int, int]) -> None:
    graph = with_thresholds(THREE, limits)
    stages, answered = run_all_stages(graph, ROWS), run(graph, ROWS)
    first, second = (stages.signals[:, i] >= limit for i, limit in enumerate(limits))
    route = np.where(first, 0, np.where(second, 1, 2))
    assert (answered.route == route).all()
    assert (answered.output == stages.outputs[np.arange(len(ROWS)), route]).all()
    last = stages.signals[np.arange(len(ROWS)), np.minimum(route, 1)]
    assert (answered.uncertainty == last << 24).all()
    rule = graph.nodes[-1].attrs.rule
    assert (routes_under(rule, stages.signals, limits) == route).all()
    assert (chosen_experts(graph, ROWS) == answered.chosen).all()


def test_an_export_freezes_the_share_that_was_asked_for() -> None:
    made = quantized(cascade_model(3, escalate=(0.5, 0.25)))
    assert made.cascading is not None
    assert (made.cascading.rows, sum(made.cascading.routes)) == (80, 80)
    assert made.cascading.routes[0] >= 40
    assert made.cascading.routes[2] <= 10
    answered = run(made.graph, quantize_rows(made.graph, rows()))
    assert np.bincount(answered.route, minlength=3).tolist() == list(made.cascading.routes)
    assert (made.chosen(80) == answered.chosen).all()


def test_real_thresholds_become_steps_of_the_logits() -> None:
    graph = quantized(cascade_model(2, thresholds=[0.1])).graph
    scale = graph.tensors["body.out"].quant.per_tensor  # type: ignore[union-attr]
    assert graph.param(graph.nodes[-1], "thresholds").tolist() == [int(np.ceil(0.1 / scale))]


def test_thresholds_may_be_set_anew() -> None:
    graph = with_thresholds(THREE, (256, 0))
    assert set(run(graph, ROWS).route.tolist()) == {1}
    found = effect(graph.nodes[-1].attrs, (256, 256), run_all_stages(graph, ROWS))
    assert found.routes == (0, 0, 60)
    for wrong in ((1,), (1, 257), (-1, 0)):
        with pytest.raises(BadInput, match=r"takes 2 whole numbers in 0\.\.256"):
            with_thresholds(THREE, wrong)
    with pytest.raises(BadInput, match="has no cascade"):
        with_thresholds(fc_graph(np.random.default_rng(0)), (1,))


def test_a_file_gives_the_graph_back(tmp_path: Path) -> None:
    write_graph(THREE, tmp_path / "g.npz")
    for again in (read_graph(tmp_path / "g.npz"), stored_graph(tmp_path / "g.npz")):
        assert (run(again, ROWS).output == run(THREE, ROWS).output).all()
        assert again.nodes[-1].attrs.signal == "gap"
        assert again.dump() == THREE.dump()


def edited(path: Path, change: Any, **arrays: np.ndarray) -> Path:
    """The stored graph with its header changed, and arrays in the place of others."""
    other = path.with_name("other.npz")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            with old.open(name) as handle:
                array = np.lib.format.read_array(handle, allow_pickle=False)
            if name == "header.npy":
                header = json.loads(array.tobytes())
                change(header["graph"])
                array = np.frombuffer(json.dumps(header).encode(), np.uint8)
            array = arrays.get(name.removesuffix(".npy"), array)
            with new.open(name, "w", force_zip64=True) as handle:
                np.lib.format.write_array(handle, array)
    return other


def _attrs(graph: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = graph["nodes"][-1]["attrs"]
    return found


def _entry(graph: dict[str, Any]) -> dict[str, Any]:
    """The input of the second expert."""
    found: dict[str, Any] = _attrs(graph)["experts"][1]["graph"]["tensors"]["expert_1.input"]
    return found


@pytest.mark.parametrize(
    ("change", "limits", "said"),
    [
        (bool, [257], r"thresholds \[257\] leave \[0, 256\]"),
        (bool, [-1], "leave"),
        (lambda g: _attrs(g)["experts"].pop(), None, "thresholds|two or more|want 0"),
        (lambda g: _attrs(g).update(signal="luck"), None, "unknown signal"),
        (lambda g: _attrs(g).update(escalate=[0.5, 0.5]), None, "want 1 numbers"),
        (lambda g: _attrs(g).update(escalate=[7.5]), None, r"must lie in \[0, 1\]"),
        (lambda g: _attrs(g)["experts"][1].update(name="t2_0"), None, "that no export makes"),
        (lambda g: g["nodes"][-1]["outputs"].pop(), None, "not wired|named|never"),
        (
            lambda g: _entry(g).update(shape=[9]),
            None,
            "does not match|shape|typed",
        ),
        (
            lambda g: _entry(g)["quant"].update(zero_point=3),
            None,
            "share the scales",
        ),
        (lambda g: g["nodes"][-1].update(kernel="edgeq_router_s8"), None, "names kernel"),
    ],
)  # fmt: skip
def test_hostile_graphs_are_refused(
    change: Any, limits: list[int] | None, said: str, tmp_path: Path
) -> None:
    graph = cascade_graph(np.random.default_rng(4))
    write_graph(graph, tmp_path / "g.npz")
    stored_graph(tmp_path / "g.npz")
    arrays = {} if limits is None else {"c/cascade.thresholds": np.array(limits, np.int32)}
    path = edited(tmp_path / "g.npz", change, **arrays)
    with pytest.raises(ModelFile, match=said):
        stored_graph(path)


def changed(graph: Graph, **attrs: object) -> Graph:
    node = graph.nodes[-1]
    other = replace(node, attrs=replace(node.attrs, **attrs))
    return graph.with_nodes([*graph.nodes[:-1], other])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: {"heads": 1}, "1 heads; monte_carlo takes 2 to 16"),
        (lambda _: {"heads": 17}, "17 heads"),
        (lambda _: {"heads": 3}, "3 heads cannot share shape"),
        (lambda node: {"experts": bare(node, 0)}, "has heads ''"),
        (lambda _: {"signal": "gap", "heads": 0}, "has heads 'expert_0"),
        (lambda node: {"experts": bare(node, 2, "nowhere")}, "has heads 'nowhere'"),
        (lambda node: {"experts": bare(node, 0, "expert_0.input")}, "has heads 'expert_0.input'"),
    ],
)
def test_verify_holds_heads_to_the_signal(change: Any, said: str) -> None:
    graph = cascade_graph(np.random.default_rng(4), ("t2", "s4", "s8"), signal="monte_carlo")
    verify(graph, "lowered")
    with pytest.raises(EdgeqError, match=said):
        verify(changed(graph, **change(graph.nodes[-1])), "lowered")


def bare(node: Node, at: int, heads: str = "") -> tuple[Expert, ...]:
    """The experts, one of them with other heads."""
    experts = node.attrs.experts
    return tuple(replace(e, heads=heads) if i == at else e for i, e in enumerate(experts))


def test_a_file_gives_heads_back(tmp_path: Path) -> None:
    graph = cascade_graph(np.random.default_rng(4), ("t2", "s4", "s8"), signal="ensemble")
    write_graph(graph, tmp_path / "g.npz")
    again = stored_graph(tmp_path / "g.npz")
    assert (run(again, ROWS).uncertainty == run(graph, ROWS).uncertainty).all()
    assert again.nodes[-1].attrs.heads == 4


def test_heads_keep_their_bytes_until_the_signal_has_read_them() -> None:
    graph = cascade_graph(np.random.default_rng(4), ("t2", "s4", "s8"), signal="ensemble")
    for expert, plan in zip(graph.nodes[-1].attrs.experts, plan_memory(graph).experts, strict=True):
        if expert.heads:
            kept = plan.buffer(expert.heads)
            others = [b for b in plan.buffers if b is not kept and b.last >= kept.first]
            assert kept.last == len(expert.graph.nodes)
            assert all(
                b.offset >= kept.offset + kept.bytes or b.offset + b.bytes <= kept.offset
                for b in others
            )


def test_verify_refuses_what_no_firmware_runs() -> None:
    graph = smallest_cascade()
    experts = graph.nodes[-1].attrs.experts
    verify(graph, "lowered")
    with pytest.raises(EdgeqError, match="1 experts; a cascade has two or more"):
        verify(changed(graph, experts=experts[:1]), "lowered")
    inside = replace(
        experts[1], graph=cascade_graph(np.random.default_rng(0), features=5, classes=3)
    )
    with pytest.raises((EdgeqError, UnsupportedOp), match=r"inside an expert|does not match"):
        verify(changed(graph, experts=(experts[0], inside, experts[2])), "lowered")
    node = graph.nodes[-1]
    bare = graph.with_nodes([*graph.nodes[:-1], replace(node, params={})])
    with pytest.raises(EdgeqError, match="lacks 2 thresholds"):
        verify(bare, "lowered")

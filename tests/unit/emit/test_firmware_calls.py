"""The calls of a model: what is wrong in them that a right model would not show."""

import dataclasses

import numpy as np
import pytest

from edgeq.emit.arena_map import arena_map
from edgeq.emit.firmware_calls import Places, cascade_code, graph_calls, mixture_code, split_calls
from edgeq.emit.firmware_layers import layers_of
from edgeq.ir import Graph
from edgeq.memory import plan_memory
from edgeq.passes.select_kernels import select_kernels
from edgeq.weights import pack_weights
from tests.factory import cascade_graph, fc_graph, mixture_graph
from tests.unit.emit.test_firmware import behind_a_mixture


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def places_of(graph: Graph) -> Places:
    plan = plan_memory(graph)
    arena = arena_map(graph, plan, "M")
    return Places(plan, {(p.owner, p.buffer): p.symbol for p in arena}, "M")


def test_calls_before_and_behind_the_mixture() -> None:
    names = {node.name: node.op for node in behind_a_mixture().nodes}
    split = split_calls(behind_a_mixture(), {n: n for n, op in names.items() if op != "Mixture"})
    assert split == {"calls_before": (), "calls_after": ("relu", "softmax")}
    trunk = mixture_graph(rng(), trunk="fc")
    first = trunk.nodes[0].name
    assert split_calls(trunk, {first: "x"}) == {"calls_before": ("x",), "calls_after": ()}


def test_without_a_mixture_every_call_is_before() -> None:
    graph = fc_graph(rng(), ("s8", "t2"))
    calls = graph_calls(places_of(graph), layers_of(graph, pack_weights(graph)))
    assert list(calls) == [node.name for node in graph.nodes]
    assert split_calls(graph, calls) == {"calls_before": tuple(calls.values()), "calls_after": ()}


def test_each_expert_calls_its_own_layers() -> None:
    graph = mixture_graph(rng(), top_k=2, gate="probability")
    layers = layers_of(graph, pack_weights(graph))
    code = mixture_code(graph, places_of(graph), layers)
    assert code is not None
    assert [x.symbol for x in code.experts] == ["expert_0", "expert_1", "expert_2"]
    for expert, made in zip(graph.nodes[-1].attrs.experts, code.experts, strict=True):
        own = [x.info for x in layers if x.info.expert == expert.name]
        assert [f"M_LAYER({x.index}, {x.kernel}(&layer_{x.index}" for x in own] == [
            call.split(",")[0] + "," + call.split(",")[1] for call in made.calls
        ]
        macs, size = sum(x.macs for x in own), sum(x.weight_bytes for x in own)
        assert made.comment[0].endswith(f"{macs} MACs, {size} bytes of constants.")
        assert made.uses_context  # two layers and more have a tensor between them


def test_a_plan_of_fewer_experts_is_refused() -> None:
    graph = mixture_graph(rng())
    places = places_of(graph)
    fewer = dataclasses.replace(places.plan, experts=places.plan.experts[:-1])
    layers = layers_of(graph, pack_weights(graph))
    with pytest.raises(ValueError, match="shorter"):
        mixture_code(graph, dataclasses.replace(places, plan=fewer), layers)


def test_every_stage_but_the_last_keeps_its_heads_where_the_signal_reads_them() -> None:
    graph = select_kernels(cascade_graph(rng(), ("t2", "s4", "s8"), signal="ensemble"), frozenset())
    places, node = places_of(graph), graph.nodes[-1]
    code = cascade_code(graph, places, layers_of(graph, pack_weights(graph)))
    assert code is not None
    kept = [places.arena[e.name, e.heads] for e in node.attrs.experts[:-1]]
    assert list(code.heads) == kept
    assert len(set(kept)) == 2


@pytest.mark.parametrize(("signal", "shift"), [("gap", 24), ("entropy", 8), ("monte_carlo", 0)])
def test_what_a_cascade_reports_is_shifted_to_24_bits_behind_the_point(
    signal: str, shift: int
) -> None:
    graph = select_kernels(cascade_graph(rng(), ("t2", "s8"), signal=signal), frozenset())
    code = cascade_code(graph, places_of(graph), layers_of(graph, pack_weights(graph)))
    assert code is not None
    assert code.report_shift == shift

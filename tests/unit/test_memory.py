import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.memory import MemoryPlan, plan_memory
from edgeq.ops.concat import ConcatInPlace
from edgeq.placement import ALIGNMENT_BYTES, Buffer, fits, place
from tests.factory import conv_graph, fc_graph, mixture_graph
from tests.port_graphs import wide_delay

buffers = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 12), st.integers(0, 12)), max_size=25
).map(lambda rows: [Buffer(f"b{i}", n, min(a, b), max(a, b)) for i, (n, a, b) in enumerate(rows)])


def assert_disjoint(plan: MemoryPlan) -> None:
    pairs = {frozenset((o.read, o.written)): o for o in plan.overlaps}
    for i, a in enumerate(plan.buffers):
        assert a.offset % ALIGNMENT_BYTES == 0
        assert a.offset + a.bytes <= plan.arena_bytes
        for b in plan.buffers[i + 1 :]:
            assert not a.meets(b) or fits(a, b, pairs.get(frozenset((a.name, b.name))))
    assert plan.lower_bound_bytes <= plan.arena_bytes
    assert plan.arena_bytes <= sum(b.bytes + ALIGNMENT_BYTES for b in plan.buffers)


@given(buffers)
def test_no_two_buffers_in_use_together_overlap(wanted: list[Buffer]) -> None:
    plan = MemoryPlan("g", place([b for b in wanted if b.bytes]), {}, 0, 0)
    assert_disjoint(plan)
    assert {b.name for b in plan.buffers} == {b.name for b in wanted if b.bytes}


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Random directed graphs of Add, Reshape and joined parts over tensors of random sizes."""
    quant = Quant((1.0,), 0)
    tensors = {"x": TensorType((draw(st.integers(1, 99)),), "int8", quant)}
    nodes: list[Node] = []
    hidden: dict[str, TensorType] = {}  # parts, which nothing else reads
    for i in range(draw(st.integers(1, 12))):
        known = st.sampled_from(sorted(tensors))
        out, joins = f"t{i}", draw(st.integers(0, 3)) == 0
        if joins:
            parts = (f"part{i}.0", f"part{i}.1")
            made = {p: TensorType((8 * draw(st.integers(1, 9)),), "int8", quant) for p in parts}
            sources = [(draw(known), draw(known)) for _ in parts]
            nodes += [Node(p, "Add", s, (p,), None) for p, s in zip(parts, sources, strict=True)]
            nodes.append(Node(f"n{i}", "ConcatInPlace", parts, (out,), ConcatInPlace(0)))
            whole = {out: TensorType((sum(t.size for t in made.values()),), "int8", quant)}
            tensors, hidden = {**tensors, **whole}, {**hidden, **made}
        elif i > 1 and draw(st.integers(0, 3)) == 0:
            source = draw(known.filter(lambda name: name != "x"))
            nodes.append(Node(f"n{i}", "Reshape", (source,), (out,), None))
            tensors[out] = tensors[source]
        else:
            nodes.append(Node(f"n{i}", "Add", (draw(known), draw(known)), (out,), None))
            tensors[out] = TensorType((draw(st.integers(1, 99)),), "int8", quant)
    return Graph("random", ("x",), (nodes[-1].outputs[0],), tuple(nodes), {**tensors, **hidden}, {})


@given(graphs())
def test_every_tensor_survives_until_its_last_reader(graph: Graph) -> None:
    """Plays the plan: a reader must find the bytes of the last writer of its tensor."""
    plan = plan_memory(graph)
    assert_disjoint(plan)
    owner = np.full(plan.arena_bytes, -1)

    def span(name: str) -> slice | None:
        buffer = next((b for b in plan.buffers if b.name == plan.places[name]), None)
        begin = buffer.offset + plan.offsets.get(name, 0) if buffer else 0
        return buffer and slice(begin, begin + graph.tensors[name].bytes)

    names = [b.name for b in plan.buffers]
    for node in graph.nodes:
        for name in node.inputs:
            if (where := span(name)) is not None:
                assert (owner[where] == names.index(plan.places[name])).all()
        if node.op == "Add" and (where := span(node.outputs[0])) is not None:
            owner[where] = names.index(plan.places[node.outputs[0]])


def test_parts_lie_one_behind_the_other() -> None:
    quant = Quant((1.0,), 0)
    sizes = {"x": 5, "a": 8, "b": 24, "c": 3, "y": 35, "z": 9}
    tensors = {name: TensorType((size,), "int8", quant) for name, size in sizes.items()}
    nodes = [Node(name, "Add", ("x", "x"), (name,), None) for name in "abc"]
    nodes.append(Node("y", "ConcatInPlace", ("a", "b", "c"), ("y",), ConcatInPlace(0)))
    nodes.append(Node("z", "Add", ("y", "x"), ("z",), None))
    plan = plan_memory(Graph("parts", ("x",), ("z",), tuple(nodes), tensors, {}))
    assert {plan.places[name] for name in "abcy"} == {"y"}
    assert plan.offsets == {"b": 8, "c": 32}
    assert [(b.name, b.bytes) for b in plan.buffers] == [("y", 35)]


def test_chain_needs_two_neighbours_only() -> None:
    graph = fc_graph(np.random.default_rng(0), ("s8",) * 8, hidden=64)
    assert plan_memory(graph).arena_bytes == 2 * 64


def test_residual_keeps_the_branch_point() -> None:
    graph = conv_graph(np.random.default_rng(0))
    plan = plan_memory(graph)
    assert_disjoint(plan)
    assert [b.bytes for b in plan.peak()] == [9 * 7 * 6] * 3


def test_reshape_shares_the_bytes() -> None:
    graph = conv_graph(np.random.default_rng(0))
    node = next(n for n in graph.nodes if n.op == "Reshape")
    plan = plan_memory(graph)
    assert plan.places[node.outputs[0]] == plan.places[node.inputs[0]]


def test_input_and_output_stand_outside() -> None:
    graph = fc_graph(np.random.default_rng(0), ("s8",))
    plan = plan_memory(graph)
    assert plan.arena_bytes == 0
    assert (plan.input_bytes, plan.output_bytes) == (13, 5)
    assert plan.largest() is None
    assert plan.peak() == ()


def test_experts_share_one_region_of_the_largest() -> None:
    graph = mixture_graph(np.random.default_rng(0), trunk="fc")
    plan = plan_memory(graph, lambda _g, node: 10 if node.op == "Mixture" else 0)
    assert plan.buffer("mixture.experts").bytes == max(p.arena_bytes for p in plan.experts)
    trunk = plan.buffer(graph.nodes[0].outputs[0])
    assert trunk.meets(plan.buffer("mixture.experts"))
    assert plan.arena_bytes < sum(p.arena_bytes for p in plan.experts)
    largest = plan.largest()
    assert largest is not None
    assert largest.name.startswith("expert_")


def test_router_scratch_may_be_larger_than_the_experts() -> None:
    graph = mixture_graph(np.random.default_rng(0))
    plan = plan_memory(graph, lambda _g, node: 1000 if node.op == "Mixture" else 0)
    assert plan.buffer("mixture.experts").bytes == 1000


def test_gate_needs_an_accumulator() -> None:
    plan = plan_memory(mixture_graph(np.random.default_rng(0), top_k=2, gate="probability"))
    assert plan.buffer("mixture.accumulator").bytes == 4 * 5
    assert plan.buffer("mixture.expert_output").bytes == 5
    assert_disjoint(plan)


def test_graph_that_computes_nothing_is_refused() -> None:
    graph = fc_graph(np.random.default_rng(0), ("s8",))
    empty = dataclasses.replace(graph, nodes=(), outputs=graph.inputs)
    with pytest.raises(ValueError, match="computes nothing"):
        plan_memory(empty)


def test_a_state_is_kept_from_the_first_node_to_behind_the_last() -> None:
    graph = wide_delay()
    (kept,) = plan_memory(graph).state
    assert (kept.first, kept.last) == (0, len(graph.nodes))

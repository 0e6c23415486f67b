"""verify refuses a graph that is broken in any one way, at the stage where it is broken."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeq.errors import EdgeqError, UnsupportedOp
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.batch_norm import BatchNorm
from edgeq.ops.op import Array
from edgeq.ops.weighted import accumulator_bound
from edgeq.passes.verify import verify
from tests import factory

Break = Callable[[Graph], Graph]


def conv() -> Graph:
    return factory.conv_graph(np.random.default_rng(0))


def chain() -> Graph:
    return factory.fc_graph(np.random.default_rng(0), softmax=True)


def mixed(**options: Any) -> Graph:
    return factory.mixture_graph(np.random.default_rng(0), **options)


def gated() -> Graph:
    return mixed(top_k=2, gate="probability")


@pytest.mark.parametrize("make", [conv, chain, mixed, gated, factory.smallest_mixture])
def test_a_sound_graph_passes(make: Callable[[], Graph]) -> None:
    graph = make()
    for stage in ("quantized", "lowered"):
        assert verify(graph, stage) is graph


def first(graph: Graph, op: str) -> Node:
    return next(n for n in graph.nodes if n.op == op)


def changed(graph: Graph, op: str, change: Callable[[Node], Node]) -> Graph:
    node = first(graph, op)
    return graph.with_nodes(change(n) if n is node else n for n in graph.nodes)


def attrs(op: str, **values: Any) -> Break:
    return lambda g: changed(g, op, lambda n: replace(n, attrs=replace(n.attrs, **values)))


def router(**values: Any) -> Break:
    def change(n: Node) -> Node:
        return replace(n, attrs=replace(n.attrs, router=replace(n.attrs.router, **values)))

    return lambda g: changed(g, "Mixture", change)


def node(kind: str, **values: Any) -> Break:
    return lambda g: changed(g, kind, lambda n: replace(n, **values))


def constant(op: str, role: str, change: Callable[[Array], Array]) -> Break:
    def apply(g: Graph) -> Graph:
        name = first(g, op).params[role]
        kind, value = g.tensors[name], change(g.constants[name])
        typed = replace(kind, shape=value.shape, dtype=str(value.dtype))
        return g.with_constants({name: value}, {name: typed})

    return apply


def without(op: str, role: str) -> Break:
    def change(n: Node) -> Node:
        return replace(n, params={r: v for r, v in n.params.items() if r != role})

    return lambda g: changed(g, op, change)


def output(op: str, **values: Any) -> Break:
    def apply(g: Graph) -> Graph:
        name = first(g, op).outputs[0]
        return g.with_tensors({name: replace(g.tensors[name], **values)})

    return apply


def in_expert(change: Break) -> Break:
    def apply(n: Node) -> Node:
        one, *rest = n.attrs.experts
        experts = (replace(one, graph=change(one.graph)), *rest)
        return replace(n, attrs=replace(n.attrs, experts=experts))

    return lambda g: changed(g, "Mixture", apply)


def expert_list(change: Callable[[Any], Any]) -> Break:
    def apply(n: Node) -> Node:
        return replace(n, attrs=replace(n.attrs, experts=tuple(change(n.attrs.experts))))

    return lambda g: changed(g, "Mixture", apply)


def nested(g: Graph) -> Graph:
    inner = mixed()
    return in_expert(lambda _: inner)(g)


def twice(g: Graph) -> Graph:
    return g.with_nodes((*g.nodes, g.nodes[0]))


def reversed_nodes(g: Graph) -> Graph:
    return g.with_nodes(reversed(g.nodes))


Q2 = Quant((0.5,), 3)
Case = tuple[Callable[[], Graph], Break, str]

# structure: refused at every stage
FLOAT: Mapping[str, Case] = {
    "order": (conv, reversed_nodes, "nothing before it computes"),
    "one input of two": (conv, node("Add", inputs=("input",)), "reads 1 tensors, not 2"),
    "two inputs of one": (conv, node("MaxPool2D", inputs=("input", "input")), "reads 2 tensors"),
    "missing output": (conv, lambda g: replace(g, outputs=("nowhere",)), "never computed"),
    "computed twice": (chain, twice, "twice"),
    "wrong shape": (conv, output("Conv2D", shape=(1, 2, 3)), "computes shape"),
    "add": (conv, node("Add", inputs=("input", "conv2d_0.out")), "Add needs"),
    "reshape": (conv, attrs("Reshape", shape=(3,)), "cannot reshape"),
    "weight": (chain, constant("FullyConnected", "weight", lambda w: w[:, 1:]), "does not match"),
    "norm": (chain, constant("LayerNorm", "gamma", lambda v: v[1:]), "does not match"),
    "conv": (conv, constant("Conv2D", "weight", lambda w: w[..., 1:]), "does not match"),
    "depthwise": (
        conv,
        constant("DepthwiseConv2D", "weight", lambda w: w[..., 1:]),
        "does not match",
    ),
    "stride": (conv, attrs("Conv2D", stride=(0, 1)), "stride"),
    "pool": (conv, attrs("MaxPool2D", kernel=(50, 50)), "larger than"),
    "inside an expert": (mixed, in_expert(output("FullyConnected", shape=(9,))), "computes shape"),
    "mixture in an expert": (mixed, nested, "inside"),
    "experts of two shapes": (
        mixed,
        in_expert(lambda e: replace(e, outputs=("expert_0.fullyconnected_0.out",))),
        "different shapes",
    ),
    "an expert of another input": (
        mixed,
        in_expert(
            lambda e: replace(e, tensors={**e.tensors, e.inputs[0]: TensorType((4,), "int8", Q2)})
        ),
        "match",
    ),
    "one expert": (mixed, expert_list(lambda e: e[:1]), "experts"),
    "router of fewer experts": (mixed, expert_list(lambda e: e[:2]), "router"),
    "router of other features": (
        mixed,
        constant("Mixture", "router.0.weight", lambda w: w[:, 1:]),
        "router",
    ),
    "no experts chosen": (mixed, attrs("Mixture", top_k=0), "top_k"),
    "more chosen than there are": (mixed, attrs("Mixture", top_k=4), "top_k"),
    "a sum without weights": (mixed, attrs("Mixture", top_k=2), "gate"),
    "one pass": (mixed, router(passes=1), "passes"),
    "too many passes": (mixed, router(passes=65), "passes"),
    "an unknown rule": (mixed, router(rule="kl_divergence"), "rule"),
}


@pytest.mark.parametrize("case", FLOAT)
def test_a_broken_structure(case: str) -> None:
    make, change, message = FLOAT[case]
    broken = change(make())
    for stage in ("float", "lowered"):
        with pytest.raises(EdgeqError, match=message):
            verify(broken, stage)


QUANTIZED: Mapping[str, Case] = {
    "float activation": (conv, output("Conv2D", dtype="float32"), "not a quantised int8"),
    "no scale": (chain, output("FullyConnected", quant=None), "not a quantised int8"),
    "max pool": (conv, output("MaxPool2D", quant=Q2), "share"),
    "relu": (chain, output("Relu", quant=Q2), "share"),
    "reshape": (conv, output("Reshape", quant=Q2), "share"),
    "softmax": (chain, output("Softmax", quant=Q2), "1/256"),
    "inside an expert": (mixed, in_expert(output("FullyConnected", quant=None)), "int8"),
    "an expert's output": (
        mixed,
        in_expert(
            lambda e: e.with_tensors({e.outputs[0]: replace(e.tensors[e.outputs[0]], quant=Q2)})
        ),
        "share",
    ),
}


@pytest.mark.parametrize("case", QUANTIZED)
def test_a_broken_quantisation(case: str) -> None:
    make, change, message = QUANTIZED[case]
    broken = change(make())
    for stage in ("quantized", "lowered"):
        with pytest.raises(EdgeqError, match=message):
            verify(broken, stage)


def test_each_op_says_which_types_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An int16 map is refused by what copies into int8, and by the first op that has no int16."""
    graph = conv()
    shape = first(graph, "Reshape")
    wide = graph.with_tensors({n: replace(graph.tensors[n], dtype="int16") for n in shape.inputs})
    reader = replace(wide, nodes=(shape,), inputs=shape.inputs, outputs=shape.outputs)
    with monkeypatch.context() as narrow:
        row = replace(OPS["Reshape"], dtypes=frozenset({"int8"}))
        narrow.setitem(OPS, "Reshape", row)  # type: ignore[arg-type]
        with pytest.raises(EdgeqError, match=r"Reshape.*not a quantised int8 one"):
            verify(reader, "quantized")
    with pytest.raises(EdgeqError, match="share one scale"):
        verify(reader, "quantized")
    kinds = {n: replace(reader.tensors[n], dtype="int16") for n in shape.outputs}
    with pytest.raises(EdgeqError, match="zero point that is not 0"):
        verify(reader.with_tensors(kinds), "quantized")
    ends = (*shape.inputs, *shape.outputs)
    kinds = {n: replace(kinds.get(n, wide.tensors[n]), dtype="int16") for n in ends}
    kinds = {n: replace(kind, quant=Quant((0.5,))) for n, kind in kinds.items()}
    with pytest.raises(EdgeqError, match="computes nothing"):  # of its types it has no complaint
        verify(reader.with_tensors(kinds), "quantized")
    follower = first(wide, "FullyConnected")
    both = replace(reader.with_tensors(kinds), nodes=(shape, follower), outputs=follower.outputs)
    with pytest.raises(EdgeqError, match=r"FullyConnected.*not a quantised int8 one"):
        verify(both, "quantized")


def wider(value: int) -> Callable[[Array], Array]:
    """As `larger`, of a type that holds it."""
    return lambda values: larger(value)(values.astype(np.int16))


def larger(value: int) -> Callable[[Array], Array]:
    return lambda v: np.full_like(v, value)


def with_batch_norm(g: Graph) -> Graph:
    """One that no pass folded away, before the first ReLU."""
    relu = first(g, "Relu")
    before = replace(g.tensors[relu.inputs[0]])
    norm = Node("bn", "BatchNorm", relu.inputs, ("bn.out",), BatchNorm(), {})
    values = {role: np.ones(before.shape, np.float32) for role in ("gain", "offset")}
    norm = replace(norm, params={role: f"bn.{role}" for role in values})
    g = g.with_constants({f"bn.{role}": v for role, v in values.items()})
    g = g.with_tensors({"bn.out": before})
    after = replace(relu, inputs=norm.outputs)
    return g.with_nodes(x for n in g.nodes for x in ([norm, after] if n is relu else [n]))


LOWERED: Mapping[str, Case] = {
    "a layer that was not folded": (chain, with_batch_norm, "should have folded"),
    **{
        f"{op} without {role}": (make, without(op, role), "lacks")
        for make, op, role in [
            (chain, "FullyConnected", "multiplier"),
            (conv, "Conv2D", "shift"),
            (conv, "DepthwiseConv2D", "multiplier"),
            (chain, "LayerNorm", "shift"),
            (conv, "Add", "multiplier"),
            (conv, "AveragePool2D", "shift"),
            (chain, "Softmax", "exp_table"),
            (mixed, "Mixture", "router.2.bias.dropped"),
            (mixed, "Mixture", "router.1.mask"),
            (mixed, "Mixture", "router.prior"),
            (gated, "Mixture", "gate.shift"),
        ]
    },
    "weights beyond their format": (
        conv,
        constant("Conv2D", "weight", wider(-129)),
        "format s8",
    ),
    "router weights": (mixed, constant("Mixture", "router.1.weight", larger(-128)), "format s8"),
    "accumulator": (chain, constant("FullyConnected", "bias", larger(2**31 - 1)), "can reach"),
    "shifted accumulator": (chain, constant("FullyConnected", "shift", larger(30)), "can reach"),
    "conv accumulator": (conv, constant("Conv2D", "bias", larger(-(2**31))), "can reach"),
    "depthwise accumulator": (conv, constant("DepthwiseConv2D", "shift", larger(25)), "can reach"),
    "router accumulator": (mixed, constant("Mixture", "router.0.shift", larger(25)), "can reach"),
    "dropped router accumulator": (
        mixed,
        constant("Mixture", "router.2.shift.dropped", larger(25)),
        "can reach",
    ),
    "pool accumulator": (conv, constant("AveragePool2D", "shift", larger(28)), "can reach"),
    "add accumulator": (
        conv,
        constant("Add", "shift", lambda s: np.array([*s[:2], 9], np.int32)),
        "can reach",
    ),
    "inside an expert": (
        mixed,
        in_expert(constant("FullyConnected", "bias", larger(2**31 - 1))),
        "can reach",
    ),
}


@pytest.mark.parametrize("case", LOWERED)
def test_a_broken_lowering(case: str) -> None:
    make, change, message = LOWERED[case]
    with pytest.raises(EdgeqError, match=message):
        verify(change(make()), "lowered")


def test_every_unsupported_op_is_listed_with_its_node() -> None:
    graph = mixed(trunk="fc")
    odd = node("FullyConnected", op="Qrnn", name="n1")
    graph = in_expert(node("FullyConnected", op="Svdf", name="n2"))(odd(graph))
    every = ", ".join(sorted(OPS))
    listed = f"unsupported ops: Qrnn (n1), t2_0: Svdf (n2); supported: {every}"
    with pytest.raises(UnsupportedOp, match=f"^{re.escape(listed)}$"):
        verify(graph, "float")


def test_two_mixtures_in_a_row() -> None:
    graph = mixed()
    last = graph.nodes[-1]
    again = replace(last, name="m2", outputs=("m2.out", "m2.route", "m2.u"))
    graph = graph.with_nodes((*graph.nodes, again)).with_tensors(
        {"m2.out": graph.tensors[last.outputs[0]]}
    )
    with pytest.raises(UnsupportedOp, match="several mixtures"):
        verify(graph, "float")


def test_uniform_extremes_of_16_bits_at_width_1536_are_refused() -> None:
    """1536 * 255 * 32767 is six times 2^31: no 32-bit accumulator holds it."""
    weight = np.full((2, 1536), 32767, np.int16)
    bound = accumulator_bound(weight, 0, np.array([0, -7]))
    assert bound.tolist() == [1536 * 255 * 32767, 1536 * 255 * 32767 + 7]
    graph = chain()
    node = first(graph, "FullyConnected")
    wide = np.full(graph.param(node, "weight").shape, 32767, np.int16)
    layer = replace(node, attrs=replace(node.attrs, weight_format="s16"))
    broken = constant("FullyConnected", "weight", lambda _: wide)(graph)
    broken = broken.with_nodes(layer if n.name == node.name else n for n in broken.nodes)
    verify(broken, "lowered")  # thirteen of them still fit
    deep = constant("FullyConnected", "shift", larger(8))(broken)
    with pytest.raises(EdgeqError, match="can reach"):
        verify(deep, "lowered")

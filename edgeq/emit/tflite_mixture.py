"""A mixture as TensorFlow Lite: the router, then one IF after another, one for each expert.

An IF's taken side is its expert's subgraph; the other side hands on what the IF before gave, so
that only the chosen experts run. In sequence, not nested: TensorFlow Lite Micro holds the inputs
of every open subgraph at once. All branches take the same inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit import tflite_router as routing
from edgeq.emit import tflite_steps as step
from edgeq.emit.tflite_ops import Values, emit_nodes
from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops.mixture import Expert
from edgeq.ops.op import quant_of


@dataclass(frozen=True)
class Branches:
    """What every branch is given: the node, and the types of its inputs but the last."""

    graph: Graph
    node: Node
    inputs: tuple[Value, ...]  # expert input, and the gates when there are any

    @property
    def summed(self) -> bool:
        """Whether several experts' gated outputs are added."""
        return bool(self.node.attrs.gate != "none" and self.node.attrs.top_k > 1)

    @property
    def part(self) -> Quant:
        """Quantisation of one expert's output: gated in int16, else its own."""
        expert = quant_of(_output_type(self.node.attrs.experts[0].graph))
        return expert if self.node.attrs.gate == "none" else step.widened(expert)

    @property
    def result(self) -> tuple[tuple[int, ...], str, Quant]:
        """Shape with batch, dtype and quantisation of what a branch is handed and gives."""
        shape = (1, *self.graph.tensors[self.node.outputs[0]].shape)
        if not self.summed:
            return shape, "int8" if self.node.attrs.gate == "none" else "int16", self.part
        most = min(self.node.attrs.top_k, len(self.node.attrs.experts))
        return shape, "int16", Quant((self.part.per_tensor * most,), 0)


def mixture(
    sg: SubgraphWriter, graph: Graph, node: Node, values: Values
) -> tuple[Value, Value, Value | None]:
    """(y, route, uncertainty or None); the router reads its input flattened."""
    x, seen = (values[n] for n in node.inputs)
    flat = step.reshape(sg, node.name + ".router_input", seen, (1, int(np.prod(seen.shape))))
    routed = routing.route(sg, graph, node, flat)
    inputs: tuple[Value, ...] = (x,)
    if node.attrs.gate != "none":
        inputs = (x, routing.probabilities(sg, node.name + ".gate", routed.logits))
    y = _one_after_another(sg, Branches(graph, node, inputs), routed)
    if node.attrs.gate != "none":
        y = step.quantize(sg, node.outputs[0], y, "int8", quant_of(graph.tensors[node.outputs[0]]))
    return y, routed.route, routed.uncertainty


def _one_after_another(sg: SubgraphWriter, branches: Branches, routed: routing.Routed) -> Value:
    """The last IF's output; a mixture of one expert needs none."""
    node, experts = branches.node, branches.node.attrs.experts
    if len(experts) == 1:
        return _expert(sg, branches, 0, branches.inputs)
    chosen = _choices(sg, branches, routed)
    shape, dtype, quant = branches.result
    nothing = np.full(shape, quant.zero_point, dtype=dtype)
    y = sg.constant(node.name + ".nothing", nothing, quant)
    for e, expert in enumerate(experts):
        taken = _branch(sg, branches, expert.name, partial(_taken, branches=branches, e=e))
        # one of its own: TensorFlow Lite Micro keeps a shared one's inputs from first to last use
        handed_on = _branch(sg, branches, "without_" + expert.name, lambda _, v: v[-1])
        last = e == len(experts) - 1 and node.attrs.gate == "none"
        name = node.outputs[0] if last else f"{node.name}.after_{expert.name}"
        options = schema.IfOptionsT(thenSubgraphIndex=taken, elseSubgraphIndex=handed_on)
        before, y = y, sg.value(name, *branches.result)
        sg.op("IF", [chosen[e], *branches.inputs, before], [y], options)
    return y


def _choices(sg: SubgraphWriter, branches: Branches, routed: routing.Routed) -> list[Value]:
    """For each expert whether it runs, BOOL."""
    node, experts = branches.node, branches.node.attrs.experts
    if branches.summed:
        beaten = _times_beaten(sg, node.name, routed.differences)
        return [
            _is_chosen(sg, f"{node.name}.takes_{expert.name}", beaten, e, node.attrs.top_k)
            for e, expert in enumerate(experts)
        ]
    return [
        _is_route(sg, f"{node.name}.is_{x.name}", routed.route, e) for e, x in enumerate(experts)
    ]


def _is_route(sg: SubgraphWriter, name: str, route: Value, e: int) -> Value:
    wanted = sg.constant(name + ".index", np.array([e], dtype=np.int32))
    chosen = sg.value(name, (1,), "bool")
    sg.op("EQUAL", [route, wanted], [chosen], schema.EqualOptionsT())
    return chosen


def _branch(
    sg: SubgraphWriter,
    branches: Branches,
    name: str,
    body: Callable[[SubgraphWriter, tuple[Value, ...]], Value],
) -> int:
    """A subgraph with the branches' inputs; its index."""
    inner = sg.model.subgraph(name)
    types = [(v.shape, v.dtype, v.quant) for v in branches.inputs]
    names = ("input", "gates")[: len(types)]
    given = [inner.value(n, *t) for n, t in zip(names, types, strict=True)]
    inputs = (*given, inner.value("before", *branches.result))
    inner.finish(inputs, [body(inner, inputs)])
    return inner.index


def _taken(sg: SubgraphWriter, inputs: tuple[Value, ...], *, branches: Branches, e: int) -> Value:
    """Expert e's branch: its output, added to what the others gave where several count."""
    *given, before = inputs
    y = _expert(sg, branches, e, tuple(given))
    name = branches.node.attrs.experts[e].name
    return step.add(sg, name + ".sum", before, y, before.q) if branches.summed else y


def _expert(sg: SubgraphWriter, branches: Branches, e: int, inputs: tuple[Value, ...]) -> Value:
    """Expert e's layers on the first input, times its gate if there is one."""
    expert: Expert = branches.node.attrs.experts[e]
    values: Values = {expert.graph.inputs[0]: inputs[0]}
    emit_nodes(sg, expert.graph, values)
    y = values[expert.graph.outputs[0]]
    if branches.node.attrs.gate == "none":
        return y
    gate = _pick(sg, expert.name, inputs[1], e, len(y.shape))
    wide = step.quantize(sg, expert.name + ".wide", y, "int16", step.widened(y.q))
    return step.multiply(sg, expert.name + ".gated", wide, gate, branches.part)


def _pick(sg: SubgraphWriter, name: str, gates: Value, e: int, rank: int) -> Value:
    """Gate e of gates int16 (1, E): the mean of E times its one-hot product. Nothing is rounded."""
    experts = gates.shape[1]
    one_hot = np.zeros((1, experts))
    one_hot[0, e] = experts
    mask = sg.constant(
        name + ".one_hot", (one_hot > 0).astype(np.int16), Quant((float(experts),), 0)
    )
    wide = Quant((gates.q.per_tensor * experts,), 0)
    only = step.multiply(sg, name + ".only", gates, mask, wide)
    gate = step.mean(sg, name + ".gate", only, [1], gates.q)
    return step.reshape(sg, name + ".gate_scalar", gate, (1,) * rank)


def _times_beaten(sg: SubgraphWriter, name: str, differences: Value) -> Value:
    """int8 (1, E): mean over j of 127 where expert j is ahead of i (a tie: the lower index)."""
    experts = differences.shape[0]
    lower = np.triu(np.ones((experts, experts), dtype=np.int8), 1)  # [j, i], j < i
    ties = sg.constant(name + ".ties", lower, differences.quant)
    # 127 times finer than its inputs: any positive number saturates
    sharp = Quant((differences.q.per_tensor / 127,), 0)
    ahead = step.add(sg, name + ".is_ahead", differences, ties, sharp, "relu")
    # int8 comparisons multiply by the scale itself, so a small one would make all equal
    unit = Quant((0.5,), 0)
    one = np.ones((1, 1), dtype=np.int8)
    factor = sg.constant(name + ".unit", one, Quant((0.5 / sharp.per_tensor,), 0))
    plain = step.multiply(sg, name + ".ahead_unit", ahead, factor, unit)
    return step.mean(sg, name + ".times_beaten", plain, [0], unit)


def _is_chosen(sg: SubgraphWriter, name: str, beaten: Value, e: int, top_k: int) -> Value:
    """Whether fewer than top_k experts are ahead of e: bool (1, 1)."""
    begin = sg.constant(name + ".begin", np.array([0, e], dtype=np.int32))
    size = sg.constant(name + ".size", np.array([1, 1], dtype=np.int32))
    mine = sg.value(name + ".beaten", (1, 1), "int8", beaten.quant)
    sg.op("SLICE", [beaten, begin, size], [mine], schema.SliceOptionsT())
    limit = min(round(127 * (top_k - 0.5) / beaten.shape[1]), 127)
    bound = sg.constant(name + ".bound", np.array([[limit]], dtype=np.int8), beaten.quant)
    chosen = sg.value(name, (1, 1), "bool")
    sg.op("LESS", [mine, bound], [chosen], schema.LessOptionsT())
    return chosen


def _output_type(graph: Graph) -> TensorType:
    return graph.tensors[graph.outputs[0]]

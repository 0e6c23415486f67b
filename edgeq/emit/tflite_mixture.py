"""A mixture as TensorFlow Lite: the router, then one subgraph per expert under IF.

Top-1: nested IFs over the route, so that only the chosen expert runs. Top-k: one IF for each expert
whose other branch is zero; the gated outputs are added. All branches take the same inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass

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
    """What every branch is given: the node, its output type and the types of its inputs."""

    graph: Graph
    node: Node
    inputs: tuple[Value, ...]  # expert input, route, and the gates when there are any

    @property
    def output(self) -> tuple[tuple[int, ...], str, Quant]:
        """Shape with batch, dtype and quantisation of a branch's result."""
        t = self.graph.tensors[self.node.outputs[0]]
        expert = quant_of(_output_type(self.node.attrs.experts[0].graph))
        if self.node.attrs.gate == "none":
            return (1, *t.shape), "int8", expert
        return (1, *t.shape), "int16", step.widened(expert)


def mixture(
    sg: SubgraphWriter, graph: Graph, node: Node, values: Values
) -> tuple[Value, Value, Value | None]:
    """(y, route, uncertainty or None); the router reads its input flattened."""
    x, seen = (values[n] for n in node.inputs)
    flat = step.reshape(sg, node.name + ".router_input", seen, (1, int(np.prod(seen.shape))))
    routed = routing.route(sg, graph, node, flat)
    inputs: tuple[Value, ...] = (x, routed.route)
    if node.attrs.gate != "none":
        inputs = (*inputs, routing.probabilities(sg, node.name + ".gate", routed.logits))
    branches = Branches(graph, node, inputs)
    if node.attrs.gate != "none" and node.attrs.top_k > 1:
        y = _sum_of_chosen(sg, branches, routed)
    else:
        y = _switch(sg, branches, 0, inputs)
    if node.attrs.gate != "none":
        y = step.quantize(sg, node.outputs[0], y, "int8", quant_of(graph.tensors[node.outputs[0]]))
    return y, routed.route, routed.uncertainty


def _switch(sg: SubgraphWriter, branches: Branches, e: int, inputs: tuple[Value, ...]) -> Value:
    """if route == e: expert e, else the same question for e + 1; the last needs no question."""
    experts = branches.node.attrs.experts
    if e == len(experts) - 1:
        # a mixture of one expert, or the innermost branch
        return _expert(sg, branches, e, inputs)
    name = f"{branches.node.name}.is_{experts[e].name}"
    wanted = sg.constant(name + ".index", np.array([e], dtype=np.int32))
    chosen = sg.value(name, (1,), "bool")
    sg.op("EQUAL", [inputs[1], wanted], [chosen], schema.EqualOptionsT())
    then = _branch(sg, branches, experts[e].name, lambda s, v: _expert(s, branches, e, v))
    other = _branch(
        sg,
        branches,
        "after_" + experts[e].name if e < len(experts) - 2 else experts[-1].name,
        lambda s, v: _switch(s, branches, e + 1, v),
    )
    return _if(sg, branches, name, chosen, inputs, then, other)


def _if(
    sg: SubgraphWriter,
    branches: Branches,
    name: str,
    condition: Value,
    inputs: tuple[Value, ...],
    then: int,
    other: int,
) -> Value:
    y = sg.value(name + ".result", *branches.output)
    options = schema.IfOptionsT(thenSubgraphIndex=then, elseSubgraphIndex=other)
    sg.op("IF", [condition, *inputs], [y], options)
    return y


def _branch(
    sg: SubgraphWriter,
    branches: Branches,
    name: str,
    body: Callable[[SubgraphWriter, tuple[Value, ...]], Value],
) -> int:
    """A subgraph with the branches' inputs; its index."""
    inner = sg.model.subgraph(name)
    names = ("input", "route", "gates")
    inputs = tuple(
        inner.value(n, v.shape, v.dtype, v.quant)
        for n, v in zip(names, branches.inputs, strict=False)
    )
    inner.finish(inputs, [body(inner, inputs)])
    return inner.index


def _expert(sg: SubgraphWriter, branches: Branches, e: int, inputs: tuple[Value, ...]) -> Value:
    """Expert e's layers on the first input, times its gate if there is one."""
    expert: Expert = branches.node.attrs.experts[e]
    values: Values = {expert.graph.inputs[0]: inputs[0]}
    emit_nodes(sg, expert.graph, values)
    y = values[expert.graph.outputs[0]]
    if len(inputs) < 3:
        return y
    gate = _pick(sg, expert.name, inputs[2], e, len(y.shape))
    wide = step.quantize(sg, expert.name + ".wide", y, "int16", step.widened(y.q))
    return step.multiply(sg, expert.name + ".gated", wide, gate, branches.output[2])


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


def _sum_of_chosen(sg: SubgraphWriter, branches: Branches, routed: routing.Routed) -> Value:
    """Every expert under an IF of its own; those not among the top k give zero."""
    node, experts = branches.node, branches.node.attrs.experts
    beaten = _times_beaten(sg, node.name, routed.differences)
    zero = _branch(sg, branches, "zero", lambda s, v: _nothing(s, branches, v))
    total: Value | None = None
    quant = branches.output[2]
    wide = Quant((quant.per_tensor * min(node.attrs.top_k, len(experts)),), 0)
    for e, expert in enumerate(experts):
        chosen = _is_chosen(sg, f"{node.name}.takes_{expert.name}", beaten, e, node.attrs.top_k)
        then = _branch(sg, branches, expert.name, _expert_body(branches, e))
        name = f"{node.name}.part_{expert.name}"
        part = _if(sg, branches, name, chosen, branches.inputs, then, zero)
        total = part if total is None else step.add(sg, name + ".sum", total, part, wide)
    if total is None:
        raise ValueError(f"{node.name} has no experts")
    return total


def _expert_body(
    branches: Branches, e: int
) -> Callable[[SubgraphWriter, tuple[Value, ...]], Value]:
    return lambda s, v: _expert(s, branches, e, v)


def _nothing(sg: SubgraphWriter, branches: Branches, inputs: tuple[Value, ...]) -> Value:
    """Zeros of a branch's type, made from the gates so that no constant is an output."""
    shape, _, quant = branches.output
    zeros = sg.constant("zeros", np.zeros(shape, dtype=np.int16), quant)
    gate = _pick(sg, "zero", inputs[2], 0, len(shape))
    return step.multiply(sg, "nothing", zeros, gate, quant)


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

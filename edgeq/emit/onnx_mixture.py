"""A mixture as ONNX nodes: the router, then the experts as branches of nested `If` nodes.

A branch holds its weights and reads the expert input from the outer graph; only the chosen branch
runs. With top_k > 1 each expert has an `If` of its own, whose other branch gives zeros.
"""

import numpy as np
from onnx import GraphProto, TensorProto, helper

from edgeq.emit.onnx_builder import OnnxBuilder, channels_first
from edgeq.emit.onnx_ops import emit_node
from edgeq.emit.onnx_router import Routes, emit_router
from edgeq.ir import Graph, Node
from edgeq.ops.op import quant_of


def emit_mixture(b: OnnxBuilder, graph: Graph, node: Node) -> tuple[str, str]:
    """Appends a Mixture node; returns the names of route, int64 (1,), and uncertainty, float (1,).

    gate "none": the routed expert's output as it is, whatever top_k says.
    """
    routes = emit_router(b, graph, node)
    first = b.constant(f"{node.name}.first", [0], np.int64)
    route = b.node("Gather", [routes.chosen, first], f"{node.name}.route.row", axis=1)
    flat = b.constant(f"{node.name}.route.shape", [1], np.int64)
    route = b.node("Reshape", [route, flat], f"{node.name}.route")
    output = node.outputs[0]
    if node.attrs.gate == "none":
        b.values[output] = _routed(b, graph, node, route)
    else:
        y = _gated(b, graph, node, routes, route)
        _, b.values[output] = b.requantize(y, output, quant_of(graph.tensors[output]))
    return route, routes.uncertainty


def _gated(b: OnnxBuilder, graph: Graph, node: Node, routes: Routes, route: str) -> str:
    """Sum of the chosen experts' outputs, each times its probability, not renormalised."""
    gates = b.node("Softmax", [routes.logits], f"{node.name}.gates", axis=-1)
    if node.attrs.top_k == 1:
        gate = b.node("Gather", [gates, route], f"{node.name}.gate", axis=1)
        return b.node("Mul", [_routed(b, graph, node, route), gate], f"{node.name}.gated")
    terms = []
    for e in range(len(node.attrs.experts)):
        name = f"{node.name}.{e}"
        index = b.constant(f"{name}.index", [e], np.int64)
        y = _chosen_or_zero(b, graph, node, e, routes.chosen)
        gate = b.node("Gather", [gates, index], f"{name}.gate", axis=1)
        terms.append(b.node("Mul", [y, gate], f"{name}.gated"))
    return b.node("Sum", terms, f"{node.name}.gated")


def _routed(b: OnnxBuilder, graph: Graph, node: Node, route: str) -> str:
    """if route == 0: expert 0, else if route == 1: expert 1, ... else the last expert."""
    *others, last = range(len(node.attrs.experts))
    level, result = _expert(b, node, last)
    for e in reversed(others):
        name = f"{node.name}.{e}"
        outer = OnnxBuilder(b.prefix)
        index = outer.constant(f"{name}.index", [e], np.int64)
        condition = outer.node("Equal", [route, index], f"{name}.is_route")
        then, otherwise = _branch(graph, node, *_expert(b, node, e)), (level, result)
        result = _if(outer, condition, name, then, _branch(graph, node, *otherwise))
        level = outer
    b.nodes += level.nodes
    b.initializers += level.initializers
    return result


def _chosen_or_zero(b: OnnxBuilder, graph: Graph, node: Node, e: int, chosen: str) -> str:
    """Expert e when its index is among `chosen` (1, top_k), else zeros."""
    name = f"{node.name}.{e}"
    index = b.constant(f"{name}.number", e, np.int64)
    hit = b.node("Equal", [chosen, index], f"{name}.hit")
    hit = b.node("Cast", [hit], f"{name}.hit.count", to=TensorProto.INT32)
    hit = b.node("ReduceMax", [hit], f"{name}.hit.any", keepdims=0)
    condition = b.node("Cast", [hit], f"{name}.is_chosen", to=TensorProto.BOOL)
    zeros = OnnxBuilder(f"{b.prefix}{name}.")
    shape = zeros.constant("zeros.shape", _output_shape(graph, node), np.int64)
    blank = zeros.node("ConstantOfShape", [shape], "zeros")  # float32 zeros by default
    then = _branch(graph, node, *_expert(b, node, e))
    return _if(b, condition, name, then, _branch(graph, node, zeros, blank))


def _if(b: OnnxBuilder, condition: str, name: str, then: GraphProto, otherwise: GraphProto) -> str:
    return b.node("If", [condition], f"{name}.if", then_branch=then, else_branch=otherwise)


def _expert(b: OnnxBuilder, node: Node, e: int) -> tuple[OnnxBuilder, str]:
    """Nodes of one expert under a prefix of its own, and the name of its float output."""
    expert: Graph = node.attrs.experts[e].graph
    branch = OnnxBuilder(f"{b.prefix}{node.name}.expert.{e}.")
    branch.values[expert.inputs[0]] = b.values[node.inputs[0]]
    for inner in expert.nodes:
        emit_node(branch, expert, inner)
    return branch, branch.values[expert.outputs[0]]


def _branch(graph: Graph, node: Node, b: OnnxBuilder, result: str) -> GraphProto:
    """A finished branch: no inputs, one float output."""
    info = helper.make_tensor_value_info(result, TensorProto.FLOAT, _output_shape(graph, node))
    return b.graph(f"{result}.branch", [], [info])


def _output_shape(graph: Graph, node: Node) -> list[int]:
    return [1, *channels_first(graph.tensors[node.outputs[0]].shape)]

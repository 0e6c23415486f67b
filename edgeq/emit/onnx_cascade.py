"""A cascade as ONNX nodes: the first expert, then an `If` whose branch holds the next stage.

Only the stages that a row needs run: each stands, with its weights and the decision behind it, in
a branch of the one before.
"""

from dataclasses import dataclass

import numpy as np
from onnx import GraphProto, TensorProto, helper

from edgeq.emit.onnx_builder import OnnxBuilder, channels_first
from edgeq.emit.onnx_ops import emit_node
from edgeq.emit.onnx_signals import ONNX_SIGNALS
from edgeq.ir import Graph, Node
from edgeq.ops.cascade import THRESHOLDS


@dataclass(frozen=True)
class _Answer:
    """Names of tensors: output float (1, ...), route int64 (1,), signal float (1,)."""

    output: str
    route: str
    signal: str


def emit_cascade(b: OnnxBuilder, graph: Graph, node: Node) -> tuple[str, str]:
    """Appends a Cascade node; returns the names of route, int64 (1,), and of the last decision's
    signal, float (1,), in the integers' steps.
    """
    level = OnnxBuilder(f"{b.prefix}{node.name}.stage.0.")
    answer = _stage(level, graph, node, 0, b.values[node.inputs[0]], None)
    b.nodes += level.nodes
    b.initializers += level.initializers
    b.values[node.outputs[0]] = answer.output
    return answer.route, answer.signal


def _stage(
    b: OnnxBuilder, graph: Graph, node: Node, stage: int, x: str, before: str | None
) -> _Answer:
    """Expert number `stage` and all that may follow; `before` is the signal that led to it."""
    expert: Graph = node.attrs.experts[stage].graph
    b.values[expert.inputs[0]] = x
    for inner in expert.nodes:
        emit_node(b, expert, inner)
    output = expert.outputs[0]
    route = b.constant("route", [stage], np.int64)
    if stage == len(node.attrs.experts) - 1:
        assert before is not None  # a cascade has two experts or more
        return _Answer(b.values[output], route, before)
    rule = node.attrs.rule
    read = node.attrs.experts[stage].heads if rule.heads else output
    codes = f"{b.prefix}{read}.int8"  # as OnnxBuilder.requantize names them
    steps = ONNX_SIGNALS[node.attrs.signal](b, node.attrs.heads, codes, b.values[read])
    signal = b.node("Cast", [steps], "signal", to=TensorProto.FLOAT)
    limit = b.constant("threshold", [int(graph.param(node, THRESHOLDS)[stage])], np.int64)
    condition = b.node("Greater" if rule.doubt else "Less", [steps, limit], "goes_on")
    here = _Answer(b.values[output], route, signal)
    carry = node.attrs.experts[stage].carry
    return _decision(b, graph, node, stage, b.values[carry] if carry else x, condition, here)


def _decision(
    b: OnnxBuilder, graph: Graph, node: Node, stage: int, x: str, condition: str, here: _Answer
) -> _Answer:
    """The If: the next stage, or this one's answer."""
    following = OnnxBuilder(f"{b.prefix}{stage + 1}.")
    answer = _stage(following, graph, node, stage + 1, x, here.signal)
    then = _branch(following, graph, node, answer)
    kept = OnnxBuilder(f"{b.prefix}kept.")
    made = _Answer(*(f"{b.prefix}answer.{name}" for name in ("output", "route", "signal")))
    name, outputs = f"{b.prefix}if", [made.output, made.route, made.signal]
    otherwise = _branch(kept, graph, node, here)
    b.nodes.append(
        helper.make_node(
            "If", [condition], outputs, name=name, then_branch=then, else_branch=otherwise
        )
    )
    return made


def _branch(b: OnnxBuilder, graph: Graph, node: Node, answer: _Answer) -> GraphProto:
    """A finished branch without inputs; what it gives, it makes itself."""
    shape = [1, *channels_first(graph.tensors[node.outputs[0]].shape)]
    own = _Answer(
        b.node("Identity", [answer.output], "given.output"),
        b.node("Identity", [answer.route], "given.route"),
        b.node("Identity", [answer.signal], "given.signal"),
    )
    value = helper.make_tensor_value_info
    outputs = [
        value(own.output, TensorProto.FLOAT, shape),
        value(own.route, TensorProto.INT64, [1]),
        value(own.signal, TensorProto.FLOAT, [1]),
    ]
    return b.graph(f"{b.prefix}branch", [], outputs)

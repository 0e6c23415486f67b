"""Checks a graph between passes, so that a fault is found where it is made.

Stages: "float" (structure and shapes), "quantized" (every activation int8 with a scale),
"lowered" (integer constants present, and a proof that no accumulator leaves int32).
"""

from typing import Any

import numpy as np

from edgeq.errors import EdgeqError, UnsupportedOp
from edgeq.ir import Graph, Node
from edgeq.ops import OPS, mixture
from edgeq.ops.fixed_point import INT32_MAX
from edgeq.ops.op import WEIGHT_RANGE, Array, quant_of

STAGES = ("float", "quantized", "lowered")
LAYERS = ("FullyConnected", "Conv2D", "DepthwiseConv2D")
PARAMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(LAYERS, ("weight", "bias", "multiplier", "shift")),
    "LayerNorm": ("gamma", "beta", "epsilon", "shift"),
    "Add": ("multiplier", "shift"),
    "AveragePool2D": ("multiplier", "shift"),
    "Softmax": ("exp_table",),
}


def verify(graph: Graph, stage: str) -> Graph:
    """The graph itself when it is sound.

    Raises UnsupportedOp listing every op edgeq does not know, EdgeqError for an inconsistency.
    """
    unknown = unsupported_ops(graph)
    if unknown:
        raise UnsupportedOp("unsupported ops: " + ", ".join(unknown) + known_ops())
    defined = {*graph.inputs, *graph.constants}
    for node in graph.nodes:
        _check_node(graph, node, defined, stage)
        defined.update(node.outputs)
    missing = [name for name in graph.outputs if name not in defined]
    if missing:
        raise EdgeqError(f"graph {graph.name!r}: outputs {missing} are never computed")
    if sum(n.op == "Mixture" for n in graph.nodes) > 1:
        raise UnsupportedOp(f"graph {graph.name!r} holds several mixtures; one is supported")
    return graph


def unsupported_ops(graph: Graph) -> list[str]:
    """ "op (node name)" of every op without a place in OPS, experts included."""
    found = [f"{n.op} ({n.name})" for n in graph.nodes if n.op not in OPS and n.op != "Mixture"]
    for node in graph.nodes:
        for expert in getattr(node.attrs, "experts", ()):
            found += [f"{expert.name}: {name}" for name in unsupported_ops(expert.graph)]
    return found


def known_ops() -> str:
    """The tail of an UnsupportedOp message."""
    return f"; supported: {', '.join(sorted([*OPS, 'Mixture']))}"


def _check_node(graph: Graph, node: Node, defined: set[str], stage: str) -> None:
    where = f"node {node.name!r} ({node.op})"
    undefined = [n for n in (*node.inputs, *node.params.values()) if n not in defined]
    if undefined:
        raise EdgeqError(f"{where} reads {undefined}, which nothing before it computes")
    _check_shape(graph, node, where)
    if stage != "float":
        for name in (*node.inputs, node.outputs[0]):
            kind = graph.tensors[name]
            if kind.dtype != "int8" or kind.quant is None:
                raise EdgeqError(f"{where}: tensor {name!r} is {kind}, not a quantised int8 one")
    if stage == "lowered":
        _check_lowered(graph, node, where)


def _check_shape(graph: Graph, node: Node, where: str) -> None:
    shapes = tuple(graph.tensors[n].shape for n in node.inputs)
    try:
        if node.op == "Mixture":
            shape = mixture.result_shape(node.attrs)
        else:
            shape = OPS[node.op].result_shape(node.attrs, shapes, graph.params(node))
    except ValueError as error:
        raise EdgeqError(f"{where}: {error}") from None
    if shape != graph.tensors[node.outputs[0]].shape:
        given = graph.tensors[node.outputs[0]].shape
        raise EdgeqError(f"{where} computes shape {shape}, its output is typed {given}")


def _check_lowered(graph: Graph, node: Node, where: str) -> None:
    missing = [role for role in PARAMS.get(node.op, ()) if role not in node.params]
    if missing:
        raise EdgeqError(f"{where} lacks {missing}; it was not lowered")
    if node.op in LAYERS:
        _check_range(node.attrs.weight_format, graph.param(node, "weight"), where)
        _check_accumulator(graph, node, "", where)
    if node.op == "Mixture":
        for i in range(node.attrs.router.layers):
            _check_range("s8", graph.param(node, f"router.{i}.weight"), where)
            _check_accumulator(graph, node, f"router.{i}.", where)
        for expert in node.attrs.experts:
            verify(expert.graph, "lowered")


def _check_range(weight_format: str, codes: Array, where: str) -> None:
    low, high = WEIGHT_RANGE[weight_format]
    if codes.size and (codes.min() < low or codes.max() > high):
        raise EdgeqError(f"{where}: weights leave [{low}, {high}] of format {weight_format}")


def _check_accumulator(graph: Graph, node: Node, role: str, where: str) -> None:
    """sum |w| * 255 + |bias| per channel, shifted left as requantisation will, stays in int32."""
    reach = accumulator_bound(
        graph.param(node, role + "weight"),
        quant_of(graph.tensors[node.params[role + "weight"]]).axis or 0,
        graph.param(node, role + "bias"),
    )
    left = np.maximum(graph.param(node, role + "shift").astype(np.int64), 0)
    worst = int((reach << left).max(initial=0))
    if worst > INT32_MAX:
        raise EdgeqError(
            f"{where}: an accumulator can reach {worst:,}, int32 holds {INT32_MAX:,}; "
            "the layer is too wide for its scales. Split it or normalise its input."
        )


def accumulator_bound(codes: Array, axis: int, bias: Array) -> Any:
    """Largest |accumulator| per output channel: int64 (out,). |x - zero_point| is at most 255."""
    rows = np.moveaxis(np.abs(codes.astype(np.int64)), axis, 0).reshape(codes.shape[axis], -1)
    return rows.sum(axis=1) * 255 + np.abs(bias.astype(np.int64))

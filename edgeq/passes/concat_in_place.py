"""Concats that nothing is left of: each input is written where it lies in the output."""

import math
from dataclasses import replace

from edgeq.ir import Graph, Node
from edgeq.ops import OPS
from edgeq.ops.concat import Concat, ConcatInPlace
from edgeq.ops.op import Call
from edgeq.ops.routed import ROUTED
from edgeq.placement import ALIGNMENT_BYTES


def in_place(graph: Graph, node: Node) -> Node:
    """The node; a Concat in place where it is one along the first axis that is longer than 1, and
    each input is made for it alone and begins at an address that kernels may write to. Scales are
    joined already.
    """
    if isinstance(node.attrs, Concat) and runs(graph, node) and not why_apart(graph, node):
        return replace(node, op="ConcatInPlace", attrs=ConcatInPlace(node.attrs.axis))
    return node


def runs(graph: Graph, node: Node) -> bool:
    """Whether each input is one run of the output's bytes."""
    return math.prod(graph.tensors[node.outputs[0]].shape[: node.attrs.axis]) == 1


def why_apart(graph: Graph, node: Node) -> str:
    """Why an input cannot be a part of the output's bytes; "" where all can."""
    at = 0
    for name in node.inputs:
        maker = graph.producer(name)
        if maker is None or maker.op in ROUTED or not isinstance(OPS[maker.op].code, Call):
            return f"no kernel writes {name!r}"
        if graph.readers(name) != 1 or node.inputs.count(name) != 1:
            return f"{name!r} is read by others"
        if at % ALIGNMENT_BYTES:
            return f"{name!r} would begin at byte {at}, no multiple of {ALIGNMENT_BYTES}"
        at += graph.tensors[name].size
    return ""

"""Weights whose format has no kernel for their op travel in the next wider one that has.

Values and scales stay as trained.
"""

from dataclasses import replace

from edgeq.ir import Graph, Node
from edgeq.ops import OPS


def widen_weights(graph: Graph) -> Graph:
    """Changes the packing only; every code of a narrow format fits the wider one."""
    return graph.with_nodes(_widened(node) for node in graph.nodes)


def _widened(node: Node) -> Node:
    wider = OPS[node.op].widens
    if not wider or node.attrs.weight_format not in wider:
        return node
    return replace(node, attrs=replace(node.attrs, weight_format=wider[node.attrs.weight_format]))

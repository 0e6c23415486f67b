"""Applies a pass to the experts of a mixture or cascade as well as to the graph around them."""

from collections.abc import Callable
from dataclasses import replace

from edgeq.ir import Graph


def with_experts(graph: Graph, change: Callable[[Graph], Graph]) -> Graph:
    """`change` on every expert's graph, then on the graph itself."""
    nodes = []
    for node in graph.nodes:
        if getattr(node.attrs, "experts", ()):
            experts = tuple(replace(e, graph=change(e.graph)) for e in node.attrs.experts)
            node = replace(node, attrs=replace(node.attrs, experts=experts))
        nodes.append(node)
    return change(graph.with_nodes(nodes))

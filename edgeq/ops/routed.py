"""The node of a graph whose experts are graphs of their own: a mixture or a cascade."""

from dataclasses import replace

from edgeq.ir import Graph, Node

ROUTED = ("Mixture", "Cascade")


def routed_node(graph: Graph) -> Node | None:
    """The mixture or cascade of a graph, or None."""
    return next((n for n in graph.nodes if getattr(n.attrs, "experts", ())), None)


def stem_of(graph: Graph, node: Node, tensor: str) -> Graph:
    """What runs before a node, as a graph whose output is `tensor`."""
    before = graph.nodes[: graph.nodes.index(node)]
    return replace(graph, nodes=before, outputs=(tensor,), output_names=())

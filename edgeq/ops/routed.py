"""The node of a graph whose experts are graphs of their own: a mixture or a cascade."""

from edgeq.ir import Graph, Node


def routed_node(graph: Graph) -> Node | None:
    """The mixture or cascade of a graph, or None."""
    return next((n for n in graph.nodes if getattr(n.attrs, "experts", ())), None)

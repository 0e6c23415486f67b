"""The node of a graph whose experts are graphs of their own: a mixture or a cascade."""

from collections.abc import Iterable
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


def for_the_router(graph: Graph) -> frozenset[str]:
    """The nodes whose only purpose is a mixture's router: what pools its input, say."""
    node = routed_node(graph)
    if node is None or node.op != "Mixture":
        return frozenset()
    seen, shared = (graph.making([tensor]) for tensor in reversed(node.inputs))
    return seen - shared


def beside(graph: Graph, ends: Iterable[str]) -> frozenset[str]:
    """Nodes that these tensors do not need, such as an expert's heads beside its outputs."""
    return frozenset(node.name for node in graph.nodes) - graph.making(ends)

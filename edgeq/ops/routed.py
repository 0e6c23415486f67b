"""The node of a graph whose experts are graphs of their own: a mixture or a cascade."""

from collections.abc import Iterable
from dataclasses import replace

from edgeq.ir import Graph, Node

ROUTED = ("Mixture", "Cascade")


def routed_node(graph: Graph) -> Node | None:
    """The mixture or cascade of a graph, or None."""
    return next((n for n in graph.nodes if getattr(n.attrs, "experts", ())), None)


def with_hold(graph: Graph, hold: int) -> Graph:
    """The graph whose cascade, or mixture that escalates, goes on to do so for `hold` rows behind
    one that is unsure. ValueError for other graphs.
    """
    node = routed_node(graph)
    if node is None:
        raise ValueError("it has no experts")
    attrs = node.attrs
    if node.op == "Mixture" and attrs.router.rule != "escalation":
        raise ValueError(f"its mixture's rule is {attrs.router.rule!r}, which never escalates")
    if node.op == "Mixture":
        held = replace(node, attrs=replace(attrs, router=replace(attrs.router, hold=hold)))
    else:
        held = replace(node, attrs=replace(attrs, hold=hold))
    return graph.with_nodes(held if n is node else n for n in graph.nodes)


def holds(graph: Graph) -> bool:
    """Whether it goes on to escalate behind a row that does."""
    node = routed_node(graph)
    return node is not None and node.attrs.hold > 0


def without_hold(graph: Graph) -> Graph:
    """The graph whose experts are chosen for each row by itself."""
    return with_hold(graph, 0) if holds(graph) else graph


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

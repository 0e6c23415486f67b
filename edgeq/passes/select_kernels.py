"""Names the C kernel of every node: the first row of the kernel table that takes it."""

from dataclasses import replace

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node
from edgeq.kernels.table import select

NO_KERNEL = ("Reshape",)  # an alias in the arena


def select_kernels(graph: Graph, features: frozenset[str]) -> Graph:
    """`features` are the target core's ("dsp", ...). Raises UnsupportedOp listing every gap,
    those of a mixture's experts included.
    """
    gaps: list[str] = []
    chosen = _select(graph, features, gaps)
    if gaps:
        raise UnsupportedOp("no kernel for: " + "; ".join(gaps))
    return chosen


def _select(graph: Graph, features: frozenset[str], gaps: list[str]) -> Graph:
    return graph.with_nodes(_with_kernel(node, features, gaps) for node in graph.nodes)


def _with_kernel(node: Node, features: frozenset[str], gaps: list[str]) -> Node:
    if node.op in NO_KERNEL:
        return node
    if node.op == "Mixture":
        experts = tuple(
            replace(e, graph=_select(e.graph, features, gaps)) for e in node.attrs.experts
        )
        node = replace(node, attrs=replace(node.attrs, experts=experts))
    try:
        kernel = select(node.op, getattr(node.attrs, "weight_format", None), features)
    except UnsupportedOp as error:
        gaps.append(f"{node.name} ({error})")
        return node
    return replace(node, kernel=kernel.name)

"""Depthwise weights narrower than 4 bits travel at 4 bits: nine weights a channel save nothing
below that, and no narrower depthwise kernel exists. Values and scales stay as trained.
"""

from dataclasses import replace

from edgeq.ir import Graph

NARROW = ("t2", "b1", "s2", "s3")


def widen_depthwise(graph: Graph) -> Graph:
    """Changes the packing only; every code of a narrow format fits 4 bits."""
    return graph.with_nodes(
        replace(n, attrs=replace(n.attrs, weight_format="s4"))
        if n.op == "DepthwiseConv2D" and n.attrs.weight_format in NARROW
        else n
        for n in graph.nodes
    )

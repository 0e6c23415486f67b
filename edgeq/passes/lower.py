"""Real scales to integers: biases, multipliers and shifts, tables. Nothing float is left to run."""

from dataclasses import replace

from edgeq.ir import Graph, Node
from edgeq.ops import OPS
from edgeq.ops.op import Lowered, Site


def lower(graph: Graph) -> Graph:
    """Adds each node's integer constants; a mixture's experts are lowered by `with_experts`."""
    for node in graph.nodes:
        graph = lower_node(graph, node)
    return graph.pruned()


def lower_node(graph: Graph, node: Node) -> Graph:
    """The graph with one node's integer constants."""
    return _with_roles(graph, node, OPS[node.op].lower(Site(graph, node)))


def _with_roles(graph: Graph, node: Node, made: Lowered) -> Graph:
    """Constants by role become constants named "<node>.<role>"; quantised types are kept."""
    names = {role: f"{node.name}.{role}" for role in made.values}
    graph = graph.with_constants(
        {names[r]: v for r, v in made.values.items()}, {names[r]: t for r, t in made.types.items()}
    )
    lowered = replace(node, params={**node.params, **names})
    return graph.with_nodes(lowered if n.name == node.name else n for n in graph.nodes)

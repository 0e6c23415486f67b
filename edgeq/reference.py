"""Runs a Graph in numpy through the ops' references: the oracle every other form is held to."""

from dataclasses import dataclass, field

import numpy as np

from edgeq.ir import Graph, Node
from edgeq.ops import OPS, mixture
from edgeq.ops.op import Array, Io
from edgeq.ops.router import uncertainty_q24


@dataclass
class Answered:
    """`values` holds every tensor (rows, *shape). route is -1 and uncertainty 0 without a mixture.

    chosen (rows, top_k); uncertainty: Q8.24 integers; numerator: the exact integer U.
    """

    values: dict[str, Array]
    output: Array
    chosen: Array
    numerator: Array
    uncertainty: Array
    router_logits: Array | None = field(default=None)

    @property
    def route(self) -> Array:
        return np.asarray(self.chosen[:, 0])


def run(graph: Graph, x: Array) -> Answered:
    """The quantised graph on int8 rows x (rows, *input shape)."""
    values: dict[str, Array] = {graph.inputs[0]: x}
    route, none, nothing = (_nothing(len(x), value) for value in (-1, 0, 0))
    result = Answered(values, x, route[:, None], none, nothing)
    for node in graph.nodes:
        if node.op == "Mixture":
            _run_mixture(graph, node, result)
        else:
            inputs = tuple(values[n] for n in node.inputs)
            op = OPS[node.op]
            values[node.outputs[0]] = op.reference(
                node.attrs, io_of(graph, node), inputs, graph.params(node)
            )
    result.output = values[graph.outputs[0]]
    return result


def io_of(graph: Graph, node: Node) -> Io:
    """Types around a node."""
    return Io(tuple(graph.tensors[n] for n in node.inputs), graph.tensors[node.outputs[0]])


def _nothing(rows: int, value: int) -> Array:
    return np.full(rows, value, dtype=np.int64)


def _run_mixture(graph: Graph, node: Node, result: Answered) -> None:
    inputs = tuple(result.values[n] for n in node.inputs)
    mixed = mixture.reference(
        node.attrs, io_of(graph, node), inputs, graph.params(node), lambda g, x: run(g, x).output
    )
    result.values[node.outputs[0]] = mixed.output
    result.chosen, result.numerator = mixed.chosen, mixed.routing.uncertainty
    result.router_logits = mixed.routing.logits
    if node.attrs.router.kind == "bayesian":
        result.uncertainty = uncertainty_q24(result.numerator, node.attrs.router.passes)


def quantize_rows(graph: Graph, x: Array) -> Array:
    """Float rows in the graph's layout (rows, *input shape) to int8, as the host does it."""
    quant = graph.tensors[graph.inputs[0]].quant
    if quant is None:
        raise ValueError("the graph's input is not quantised")
    q = np.round(x.astype(np.float64) / quant.per_tensor) + quant.zero_point
    return np.clip(q, -128, 127).astype(np.int8)

"""What each expert would answer alone, on every row: no router, no choice."""

from dataclasses import dataclass

import numpy as np

from edgeq.ir import Graph, Node
from edgeq.ops import OPS, softmax
from edgeq.ops.op import Array, quant_of
from edgeq.ops.routed import routed_node, stem_of
from edgeq.reference import io_of, run

ROWS_AT_ONCE = 64  # the reference keeps every tensor of its rows


@dataclass(frozen=True)
class Alone:
    """One expert's outputs: int8 codes, and real logits, (rows, classes) both."""

    name: str
    output: Array
    logits: Array

    @property
    def answers(self) -> Array:
        """(rows,) the class of each row, ties to the lower."""
        return np.asarray(self.output.argmax(axis=1))


def experts_alone(graph: Graph, rows: Array) -> tuple[Alone, ...]:
    """Of the int8 `rows` (rows, *input shape), by the reference; () of a graph without experts.

    A gated mixture weighs an expert's output by a positive number: alone it is not weighed.
    """
    node = routed_node(graph)
    if node is None or not len(rows):
        return ()
    parts = [
        _some(graph, node, rows[at : at + ROWS_AT_ONCE]) for at in range(0, len(rows), ROWS_AT_ONCE)
    ]
    found = []
    for e, outputs in zip(node.attrs.experts, zip(*parts, strict=True), strict=True):
        ends = e.graph if graph.outputs[0] == node.outputs[0] else graph
        codes = np.concatenate(outputs)
        found.append(Alone(e.name, codes, real_logits(ends, codes)))
    return tuple(found)


def real_logits(graph: Graph, codes: Array) -> Array:
    """Real logits (rows, classes) of a graph's int8 outputs; of a final Softmax the logarithms."""
    name = graph.outputs[0]
    quant = quant_of(graph.tensors[name])
    real = (codes.reshape(len(codes), -1).astype(np.float64) - quant.zero_point) * quant.per_tensor
    if any(n.op in softmax.FORMS and name in n.outputs for n in graph.nodes):
        return np.asarray(np.log(np.maximum(real, quant.per_tensor / 2)))
    return np.asarray(real)


def _some(graph: Graph, node: Node, rows: Array) -> list[Array]:
    """The flat output of every expert; what stands before the mixture runs once."""
    at = graph.nodes.index(node)
    before = run(stem_of(graph, node, node.inputs[0]), rows).values
    outputs, given = [], before[node.inputs[0]]
    for expert in node.attrs.experts:
        made = run(expert.graph, given).values
        given = expert.handed_on(given, made)
        values = {**before, node.outputs[0]: made[expert.graph.outputs[0]]}
        for later in graph.nodes[at + 1 :]:
            inputs = tuple(values[n] for n in later.inputs)
            operands = (later.attrs, io_of(graph, later), inputs, graph.params(later))
            values[later.outputs[0]] = OPS[later.op].reference(*operands)
        outputs.append(values[graph.outputs[0]].reshape(len(rows), -1))
    return outputs

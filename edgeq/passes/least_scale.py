"""The finest output scale that a node's integers can carry.

A layer that never fires, or one whose result is far below its own sums, would otherwise want a
requantisation that shifts its accumulator out of int32. At 2^-29 of the largest sum that the node
can form a step is still far below anything that the sum itself resolves.
"""

from collections.abc import Mapping

import numpy as np

from edgeq.ir import Graph, Node, Quant
from edgeq.ops.op import WEIGHT_AXIS, Array
from edgeq.passes.float_forward import dequantize, float_params
from edgeq.passes.ranges import affine

SUM_STEPS = 2.0**29  # reach << left stays below 2^31, with a factor of two for rounded weights
GAMMA_STEPS = 2.0**24  # LayerNorm's gamma is int16 and keeps its ten fraction bits
ADD_STEPS = 2.0**20


def least_scale(graph: Graph, name: str, quants: Mapping[str, Quant]) -> float:
    """The least scale of activation `name`, whose producer's inputs are typed; 0 is no limit.

    Ops that hand their input's scale on are as fine as what they read.
    """
    node = graph.producer(name)
    if node is None:
        return 0.0
    scales = [quants[i].per_tensor for i in node.inputs]
    if node.op in WEIGHT_AXIS:
        params = float_params(graph, node)
        return layer_least(params["weight"], params["bias"], scales[0], WEIGHT_AXIS[node.op])
    if node.op == "LayerNorm":
        params = float_params(graph, node)
        gamma, beta = (float(np.abs(params[role]).max(initial=0)) for role in ("gamma", "beta"))
        return max(gamma / GAMMA_STEPS, beta / SUM_STEPS)
    if node.op == "Add":
        return max(scales) / ADD_STEPS
    if node.op == "AveragePool2D":
        return 255 * scales[0] / SUM_STEPS
    if node.op in ("MaxPool2D", "Relu", "Reshape"):
        return least_scale(graph, node.inputs[0], quants)
    return 0.0


def layer_least(weight: Array, bias: Array, scale_in: float, axis: int) -> float:
    """Of a layer's real weights and biases: its largest sum in `SUM_STEPS` steps."""
    rows = np.moveaxis(np.abs(weight.astype(np.float64)), axis, 0)
    reach = 255 * scale_in * rows.reshape(len(rows), -1).sum(axis=1)
    return float((reach + np.abs(bias.astype(np.float64))).max(initial=0)) / SUM_STEPS


def no_finer(quant: Quant, least: float) -> Quant:
    """`quant` with a scale of `least` or more; the same part of its range lies below zero."""
    if quant.per_tensor >= least:
        return quant
    return Quant((float(np.float32(least)),), quant.zero_point)


def silent_quant(graph: Graph, node: Node, quants: Mapping[str, Quant]) -> Quant:
    """For a layer that was always 0: what its weights can make of its input, should it speak."""
    weight, scale_in = dequantize(graph, node.params["weight"]), quants[node.inputs[0]].per_tensor
    reach = SUM_STEPS * layer_least(weight, np.zeros(1), scale_in, WEIGHT_AXIS[node.op])
    return affine(0.0, reach) if node.attrs.activation != "none" else affine(-reach, reach)


def silent_nodes(graph: Graph, values: Mapping[str, Array]) -> tuple[Node, ...]:
    """Nodes that compute something and gave nothing but zeros on every row of `values`."""
    computing = (*WEIGHT_AXIS, "LayerNorm")
    return tuple(n for n in graph.nodes if n.op in computing and not values[n.outputs[0]].any())

"""The finest output scale that a node's integers can carry.

A layer that never fires, or one whose result is far below its own sums, would otherwise want a
requantisation that shifts its accumulator out of int32. At 2^-29 of the largest sum that the node
can form a step is still far below anything that the sum itself resolves.
"""

from collections.abc import Mapping

import numpy as np

from edgeq.ir import Graph, Node, Quant
from edgeq.ops import OPS
from edgeq.ops.op import Array, Scale, Site
from edgeq.ops.site import dequantize
from edgeq.ops.weighted import SUM_STEPS, layer_least
from edgeq.passes.float_forward import float_params
from edgeq.passes.ranges import affine


def least_scale(graph: Graph, name: str, quants: Mapping[str, Quant]) -> float:
    """The least scale of activation `name`, whose producer's inputs are typed; 0 is no limit.

    Ops that hand their input's scale on are as fine as what they read.
    """
    node = graph.producer(name)
    if node is None:
        return 0.0
    op = OPS[node.op]
    if op.scale(node.attrs, Site(graph, node).io) is Scale.SHARED:
        return least_scale(graph, node.inputs[0], quants)
    scales = tuple(quants[i].per_tensor for i in node.inputs)
    return op.finest(node.attrs, scales, float_params(graph, node))


def no_finer(quant: Quant, least: float) -> Quant:
    """`quant` with a scale of `least` or more; the same part of its range lies below zero."""
    if quant.per_tensor >= least:
        return quant
    return Quant((float(np.float32(least)),), quant.zero_point)


def silent_quant(graph: Graph, node: Node, quants: Mapping[str, Quant]) -> Quant:
    """For a layer that was always 0: what its weights can make of its input, should it speak."""
    weight, scale_in = dequantize(graph, node.params["weight"]), quants[node.inputs[0]].per_tensor
    axis = OPS[node.op].weight_axis
    assert axis is not None  # the caller asks of layers with weights only
    reach = SUM_STEPS * layer_least(weight, np.zeros(1), scale_in, axis)
    return affine(0.0, reach) if node.attrs.activation != "none" else affine(-reach, reach)


def silent_nodes(graph: Graph, values: Mapping[str, Array]) -> tuple[Node, ...]:
    """Nodes with constants of their own that gave nothing but zeros on every row of `values`."""
    computing = (n for n in graph.nodes if n.params and not getattr(n.attrs, "experts", ()))
    return tuple(n for n in computing if not values[n.outputs[0]].any())

"""The codes that weights are stored as: made of float ones, packed as a kernel reads them."""

from dataclasses import replace

import numpy as np

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops import OPS


def widen_weights(graph: Graph) -> Graph:
    """Weights whose format has no kernel for their op travel in the next wider one that has.

    Changes the packing only, values and scales stay: every code of a narrow format fits a wider.
    """
    return graph.with_nodes(_widened(node) for node in graph.nodes)


def _widened(node: Node) -> Node:
    wider = OPS[node.op].widens
    if not wider or node.attrs.weight_format not in wider:
        return node
    return replace(node, attrs=replace(node.attrs, weight_format=wider[node.attrs.weight_format]))


def quantize_weights(graph: Graph) -> Graph:
    """Float weights (post-training quantisation) to int8 codes, symmetric per output channel.

    Weights that carry codes already (trained that way) stay as they are.
    """
    for node in graph.nodes:
        axis = OPS[node.op].weight_axis
        if axis is None or graph.tensors[node.params["weight"]].quant is not None:
            continue
        name, weight = node.params["weight"], graph.param(node, "weight")
        others = tuple(i for i in range(weight.ndim) if i != axis)
        peak = np.maximum(np.abs(weight).max(axis=others, keepdims=True), 1e-12)
        scale = (peak / 127).astype(np.float32)
        codes = np.clip(np.round(weight / scale), -127, 127).astype(np.int8)
        quant = Quant(tuple(float(s) for s in scale.ravel()), 0, axis)
        graph = graph.with_constants({name: codes}, {name: TensorType(codes.shape, "int8", quant)})
    return graph

"""Float weights (post-training quantisation) to int8 codes, symmetric per output channel."""

import numpy as np

from edgeq.ir import Graph, Quant, TensorType
from edgeq.ops import OPS


def quantize_weights(graph: Graph) -> Graph:
    """Weights that carry codes already (trained that way) stay as they are."""
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

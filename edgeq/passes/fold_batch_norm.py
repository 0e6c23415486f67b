"""BatchNorm into the layer before it: gain into the weight scales, offset into the bias."""

from dataclasses import replace

import numpy as np

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant
from edgeq.ops import OPS
from edgeq.ops.op import Array

SMALLEST_GAIN = 1e-24  # a channel that training switched off keeps a scale above zero


def fold_batch_norm(graph: Graph) -> Graph:
    """Raises UnsupportedOp when a BatchNorm follows something else, or a layer read twice."""
    for node in [n for n in graph.nodes if n.op == "BatchNorm"]:
        layer = graph.producer(node.inputs[0])
        if layer is None or node.op not in OPS[layer.op].fuses:
            raise UnsupportedOp(
                f"BatchNorm {node.name!r} follows {layer.op if layer else 'the input'}; "
                "it can only follow a Linear or convolution layer. Move or remove it."
            )
        if graph.readers(node.inputs[0]) != 1:
            raise UnsupportedOp(f"BatchNorm {node.name!r}: its layer's output is used elsewhere")
        graph = _fold(graph, layer, node)
    return graph.pruned()


def _fold(graph: Graph, layer: Node, norm: Node) -> Graph:
    gain, offset = graph.param(norm, "gain"), graph.param(norm, "offset")
    gain = np.where(np.abs(gain) < SMALLEST_GAIN, SMALLEST_GAIN, gain)
    weight_name, bias_name = layer.params["weight"], layer.params["bias"]
    bias = graph.constants[bias_name] * gain + offset
    axis = OPS[layer.op].weight_axis
    assert axis is not None  # what fuses a BatchNorm has weights
    graph = _scale_weight(graph, weight_name, axis, gain)
    graph = graph.with_constants({bias_name: bias.astype(np.float32)})
    folded = replace(layer, outputs=norm.outputs)
    nodes = [folded if n is layer else n for n in graph.nodes if n is not norm]
    return graph.with_nodes(nodes)


def _scale_weight(graph: Graph, name: str, axis: int, gain: Array) -> Graph:
    weight, kind = graph.constants[name], graph.tensors[name]
    shape = [1] * weight.ndim
    shape[axis] = gain.size
    if kind.quant is None:
        return graph.with_constants({name: (weight * gain.reshape(shape)).astype(np.float32)})
    # every format is symmetric, so a negative gain turns the codes around
    codes = (weight * np.sign(gain).reshape(shape)).astype(weight.dtype)
    scales = np.broadcast_to(np.asarray(kind.quant.scale), gain.shape) * np.abs(gain)
    quant = Quant(tuple(float(np.float32(s)) for s in scales), 0, axis)
    return graph.with_constants({name: codes}, {name: replace(kind, quant=quant)})

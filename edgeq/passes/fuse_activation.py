"""ReLU and ReLU6 into the clamp of the layer before them: no pass over memory of their own."""

from dataclasses import replace

from edgeq.ir import Graph
from edgeq.ops import OPS


def fuse_activation(graph: Graph) -> Graph:
    """A Relu stays alone when its producer is another op, or is read by others too."""
    for node in [n for n in graph.nodes if n.op == "Relu"]:
        layer = graph.producer(node.inputs[0])
        if layer is None or node.op not in OPS[layer.op].fuses:
            continue
        if layer.attrs.activation != "none":  # one clamp a layer
            continue
        if graph.readers(node.inputs[0]) != 1:
            continue
        attrs = replace(layer.attrs, activation=node.attrs.activation)
        fused = replace(layer, attrs=attrs, outputs=node.outputs)
        graph = graph.with_nodes(fused if n is layer else n for n in graph.nodes if n is not node)
    return graph.pruned()

"""BatchNorm behind anything but a layer that takes it in: a depthwise 1x1 convolution."""

from dataclasses import replace

from edgeq.ir import Graph, Node, TensorType
from edgeq.ops import OPS
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.reshape import Reshape


def convolve_lone_norms(graph: Graph) -> Graph:
    """Gains become weights (1, 1, channels), offsets biases. Others are left to fold_batch_norm."""
    for node in [n for n in graph.nodes if n.op == "BatchNorm"]:
        layer = graph.producer(node.inputs[0])
        if layer and node.op in OPS[layer.op].fuses and graph.readers(node.inputs[0]) == 1:
            continue
        graph = _convolved(graph, node)
    return graph.pruned()


def _convolved(graph: Graph, norm: Node) -> Graph:
    gain, offset = graph.param(norm, "gain"), graph.param(norm, "offset")
    shape = graph.tensors[norm.inputs[0]].shape
    flat = (*(1,) * (3 - len(shape)), *shape)
    names = {"weight": f"{norm.name}.weight", "bias": f"{norm.name}.bias"}
    graph = graph.with_constants(
        {names["weight"]: gain.reshape(1, 1, -1), names["bias"]: offset.reshape(-1)}
    )
    conv = replace(norm, op="DepthwiseConv2D", attrs=DepthwiseConv2D(), params=names)
    nodes = [conv]
    if flat != shape:
        given, made = f"{norm.name}.map", f"{norm.name}.mapped"
        graph = graph.with_tensors({given: TensorType(flat), made: TensorType(flat)})
        before = Node(given, "Reshape", norm.inputs, (given,), Reshape(flat))
        after = Node(made, "Reshape", (made,), norm.outputs, Reshape(shape))
        nodes = [before, replace(conv, inputs=(given,), outputs=(made,)), after]
    return graph.with_nodes(m for n in graph.nodes for m in (nodes if n is norm else [n]))

"""BatchNorm behind anything but a layer that takes it in: a depthwise 1x1 convolution.

One behind joined layers, as a convolution in groups is, is cut into one behind each.
"""

from dataclasses import replace

from edgeq.ir import Graph, Node, TensorType
from edgeq.ops import OPS
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.reshape import Reshape

NORM = "BatchNorm"


def convolve_lone_norms(graph: Graph) -> Graph:
    """Gains become weights (1, 1, channels), offsets biases. Others are left to fold_batch_norm."""
    for node in [n for n in graph.nodes if n.op == NORM]:
        if _folds(graph, node.inputs[0]):
            continue
        joined = graph.producer(node.inputs[0])
        apart = joined is not None and _joins_layers(graph, joined)
        graph = _apart(graph, joined, node) if joined and apart else _convolved(graph, node)
    return graph.pruned()


def _folds(graph: Graph, name: str) -> bool:
    """Whether a layer makes the tensor that takes in a norm behind it."""
    layer = graph.producer(name)
    return layer is not None and NORM in OPS[layer.op].fuses and graph.readers(name) == 1


def _joins_layers(graph: Graph, node: Node) -> bool:
    """Whether it joins the channels of such layers, for one reader."""
    last = len(graph.tensors[node.outputs[0]].shape) - 1
    if node.op != "Concat" or node.attrs.axis != last or graph.readers(node.outputs[0]) != 1:
        return False
    return all(_folds(graph, name) for name in node.inputs)


def _apart(graph: Graph, joined: Node, norm: Node) -> Graph:
    """Each input of `joined` with its part of the norm."""
    parts, at = list[Node](), 0
    for i, name in enumerate(joined.inputs):
        kind = graph.tensors[name]
        cells = slice(at, at + kind.shape[-1])
        at = cells.stop
        out = f"{norm.name}.part{i}"
        params = {role: f"{out}.{role}" for role in ("gain", "offset")}
        graph = graph.with_constants(
            {params[role]: graph.param(norm, role)[cells] for role in params}
        ).with_tensors({out: kind})
        parts.append(Node(out, NORM, (name,), (out,), norm.attrs, params))
    whole = replace(joined, inputs=tuple(n.outputs[0] for n in parts), outputs=norm.outputs)
    kept = [n for n in graph.nodes if n is not norm]
    return graph.with_nodes(m for n in kept for m in ([*parts, whole] if n is joined else [n]))


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

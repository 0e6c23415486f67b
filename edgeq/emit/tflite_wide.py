"""Layers of int16 activations -> FULLY_CONNECTED, CONV_2D and DEPTHWISE_CONV_2D with int8 weights,
biases of the type that TensorFlow Lite Micro is to add up in.
"""

from typing import Any

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit import tflite_steps as step
from edgeq.emit.tflite_pad import padded
from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.ir import Graph, Node, Quant
from edgeq.ops.op import Array, quant_of
from edgeq.ops.window import spanned


def wide_fully_connected(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    codes, quant = _weight(graph, node)
    options = schema.FullyConnectedOptionsT(fusedActivationFunction=_fused(graph, node))
    return _written(sg, graph, node, "FULLY_CONNECTED", x[0], codes, quant, options)


def wide_conv_2d(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """DEPTHWISE_CONV_2D where each channel has a group of its own."""
    codes, quant = _weight(graph, node)
    attrs = node.attrs
    source, scheme = padded(sg, node, x[0], spanned(codes.shape[1:3], attrs.dilation))
    fields: dict[str, Any] = {
        "padding": getattr(schema.Padding, scheme),
        "strideH": attrs.stride[0],
        "strideW": attrs.stride[1],
        "fusedActivationFunction": _fused(graph, node),
        "dilationHFactor": attrs.dilation[0],
        "dilationWFactor": attrs.dilation[1],
    }
    if codes.shape[3] > 1 or attrs.groups == 1 or attrs.sums == "int32":
        options = schema.Conv2DOptionsT(**fields)
        return _written(sg, graph, node, "CONV_2D", source, codes, quant, options)
    times = len(codes) // attrs.groups
    options = schema.DepthwiseConv2DOptionsT(**fields, depthMultiplier=times)
    turned, quant = np.ascontiguousarray(codes.transpose(3, 1, 2, 0)), Quant(quant.scale, 0, 3)
    return _written(sg, graph, node, "DEPTHWISE_CONV_2D", source, turned, quant, options)


def widen(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    made = graph.tensors[node.outputs[0]]
    return step.quantize(sg, node.outputs[0], x[0], "int16", quant_of(made))


def _written(
    sg: SubgraphWriter,
    graph: Graph,
    node: Node,
    op: str,
    x: Value,
    codes: Array,
    quant: Quant,
    options: Any,
) -> Value:
    weight = sg.constant(node.params["weight"], codes, quant)
    scales = Quant(tuple(x.q.per_tensor * s for s in quant.scale), 0, 0)
    added = graph.param(node, "bias").astype(node.attrs.sums)
    bias = sg.constant(node.params["bias"], added, scales)
    made = graph.tensors[node.outputs[0]]
    y = sg.value(node.outputs[0], (1, *made.shape), made.dtype, made.quant)
    sg.op(op, [x, weight, bias], [y], options)
    return y


def _weight(graph: Graph, node: Node) -> tuple[Array, Quant]:
    return graph.param(node, "weight"), quant_of(graph.tensors[node.params["weight"]])


def _fused(graph: Graph, node: Node) -> int:
    return step.fused(node.attrs.activation, quant_of(graph.tensors[node.outputs[0]]))

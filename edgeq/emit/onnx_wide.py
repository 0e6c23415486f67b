"""The ONNX form of layers of int16 activations: weights of int8, biases as float32, since
DequantizeLinear takes none of 64 bits.
"""

import numpy as np
from onnx import TensorProto

from edgeq.emit.onnx_builder import OnnxBuilder
from edgeq.emit.onnx_convolution import convolution
from edgeq.ir import Graph, Node
from edgeq.ops.op import Array, quant_of


def wide_fully_connected(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    weight, bias = _constants(b, graph, node, graph.param(node, "weight"))
    return b.node("Gemm", [x[0], weight, bias], f"{node.name}.gemm", transB=1)


def wide_conv_2d(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    codes = graph.param(node, "weight").transpose(0, 3, 1, 2)  # (out, in / groups, kh, kw)
    weight, bias = _constants(b, graph, node, codes)
    return convolution(b, node, [x[0], weight, bias], codes.shape[2:], node.attrs.groups)


def _constants(b: OnnxBuilder, graph: Graph, node: Node, codes: Array) -> tuple[str, str]:
    scale = np.asarray(quant_of(graph.tensors[node.params["weight"]]).scale)
    weight = b.integers(f"{node.name}.weight", codes, TensorProto.INT8, scale.tolist())
    steps = quant_of(graph.tensors[node.inputs[0]]).per_tensor * scale
    bias = graph.param(node, "bias") * steps
    return weight, b.constant(f"{node.name}.bias", bias, np.float32)

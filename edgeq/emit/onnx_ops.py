"""The ONNX form of each op: float nodes between DequantizeLinear and QuantizeLinear."""

from collections.abc import Callable, Mapping

import numpy as np
from onnx import TensorProto

from edgeq.emit.onnx_builder import WEIGHT_CONTAINER, OnnxBuilder
from edgeq.emit.onnx_carried import CARRIED_OPS
from edgeq.emit.onnx_convolution import convolution
from edgeq.emit.onnx_log_mel import log_mel, mfcc
from edgeq.emit.onnx_norms import NORM_OPS
from edgeq.emit.onnx_pcen import pcen
from edgeq.emit.onnx_recurrent import gru, lstm, svdf_feature, svdf_time
from edgeq.emit.onnx_shapes import SHAPE_OPS
from edgeq.emit.onnx_wide import wide_conv_2d, wide_fully_connected
from edgeq.ir import Graph, Node
from edgeq.ops.average_pool_2d import share_of
from edgeq.ops.block_fully_connected import counted
from edgeq.ops.functions import LEAST_OF_LOG, LEAST_OF_RSQRT, MOST_OF_EXP
from edgeq.ops.op import Array, Site, quant_of

SMALL_SHARE = 1e-3  # of a mean: its multiplier may be cut, as TensorFlow Lite's is
Form = Callable[[OnnxBuilder, Graph, Node, list[str]], str]


def emit_node(b: OnnxBuilder, graph: Graph, node: Node) -> None:
    """Appends one node (any but a Mixture) and the quantisation of its output."""
    inputs = [b.values[name] for name in node.inputs]
    value = {**ONNX_OPS, **CARRIED_OPS}[node.op](b, graph, node, inputs)
    value = b.activation(getattr(node.attrs, "activation", "none"), value, node.name)
    output = node.outputs[0]
    kind = graph.tensors[output]
    _, b.values[output] = b.requantize(value, output, quant_of(kind), kind.dtype)


def _plain(op: str, **attributes: str) -> Form:
    """An op that is ONNX's operator; its attributes by the names of the node's."""

    def form(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
        given = {name: getattr(node.attrs, own) for name, own in attributes.items()}
        return b.node(op, x, f"{node.name}.{op.lower()}", **given)

    return form


def _table(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """Gather at the input's code; one below zero counts from the end."""
    given, made = (quant_of(graph.tensors[n]) for n in (node.inputs[0], node.outputs[0]))
    codes = np.roll(graph.param(node, "table").astype(np.float32), 128)
    real = b.constant(f"{node.name}.real", (codes - made.zero_point) * made.per_tensor, np.float32)
    code, _ = b.requantize(x[0], f"{node.name}.code", given)
    place = b.node("Cast", [code], f"{node.name}.place", to=TensorProto.INT32)
    return b.node("Gather", [real, place], f"{node.name}.gather", axis=0)


def _weights(
    b: OnnxBuilder, graph: Graph, node: Node, codes: Array, container: int | None = None
) -> tuple[str, str]:
    """Dequantised (weight, bias); `codes` has its output channels first, as ONNX wants them, in
    `container`, by default that of their format.
    """
    scale = quant_of(graph.tensors[node.params["weight"]]).scale
    container = WEIGHT_CONTAINER[node.attrs.weight_format] if container is None else container
    weight = b.integers(f"{node.name}.weight", codes, container, scale)
    scale_in = quant_of(graph.tensors[node.inputs[0]]).per_tensor
    bias_scale = [scale_in * s for s in scale]
    bias = graph.param(node, "bias")
    return weight, b.integers(f"{node.name}.bias", bias, TensorProto.INT32, bias_scale)


def _fully_connected(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    weight, bias = _weights(b, graph, node, graph.param(node, "weight"))
    return b.node("Gemm", [x[0], weight, bias], f"{node.name}.gemm", transB=1)


def _block_fully_connected(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """Codes times block scales as 16-bit weights; on a map a 1x1 convolution."""
    codes = counted(Site(graph, node))
    if len(graph.tensors[node.inputs[0]].shape) == 3:
        weight, bias = _weights(b, graph, node, codes[:, :, None, None], TensorProto.INT16)
        return b.node("Conv", [x[0], weight, bias], f"{node.name}.conv", kernel_shape=[1, 1])
    weight, bias = _weights(b, graph, node, codes, TensorProto.INT16)
    return b.node("Gemm", [x[0], weight, bias], f"{node.name}.gemm", transB=1)


def _conv_2d(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    codes = graph.param(node, "weight").transpose(0, 3, 1, 2)  # (out, in / groups, kh, kw)
    return _convolution(b, graph, node, x, codes, node.attrs.groups)


def _depthwise_conv_2d(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    codes = graph.param(node, "weight").transpose(2, 0, 1)[:, None]  # (channels, 1, kh, kw)
    return _convolution(b, graph, node, x, codes, codes.shape[0])


def _convolution(
    b: OnnxBuilder, graph: Graph, node: Node, x: list[str], codes: Array, group: int
) -> str:
    weight, bias = _weights(b, graph, node, codes)
    return convolution(b, node, [x[0], weight, bias], codes.shape[2:], group)


def _average_pool_2d(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    kernel, stride = list(node.attrs.kernel), list(node.attrs.stride)
    mean = b.node("AveragePool", x, f"{node.name}.pool", kernel_shape=kernel, strides=stride)
    counted = share_of(Site(graph, node)) * kernel[0] * kernel[1]
    if abs(counted - 1) < SMALL_SHARE:
        return mean
    times = b.constant(f"{node.name}.times", counted, np.float32)
    return b.node("Mul", [mean, times], f"{node.name}.sum")


def _mean_pool_2d(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    attrs = node.attrs
    return b.node(
        "AveragePool",
        x,
        f"{node.name}.pool",
        kernel_shape=list(attrs.kernel),
        strides=list(attrs.stride),
        pads=list(attrs.padding),
        count_include_pad=0,
    )


def _max_pool_2d(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    attrs = node.attrs
    return b.node(
        "MaxPool",
        x,
        f"{node.name}.pool",
        kernel_shape=list(attrs.kernel),
        strides=list(attrs.stride),
        pads=list(attrs.padding),
    )


def _relu(_b: OnnxBuilder, _graph: Graph, _node: Node, x: list[str]) -> str:
    return x[0]  # emit_node appends the activation


def _reshape(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    source, target = graph.tensors[node.inputs[0]].shape, graph.tensors[node.outputs[0]].shape
    return b.reshape(x[0], source, target, node.name)


def _silu(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    gate = b.node("Sigmoid", x, f"{node.name}.sigmoid")
    return b.node("Mul", [x[0], gate], f"{node.name}.mul")


def _clipped(op: str, least: float = -np.inf, most: float = np.inf) -> Form:
    """An operator of a part of the numbers, its input held inside."""

    def form(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
        inside = _between(b, node, x[0], least, most)
        if op != "Rsqrt":
            return b.node(op, [inside], f"{node.name}.{op.lower()}")
        return b.node("Reciprocal", [b.node("Sqrt", [inside], f"{node.name}.sqrt")], node.name)

    return form


def _affine(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    gain = b.constant(f"{node.name}.gain", node.attrs.gain, np.float32)
    offset = b.constant(f"{node.name}.offset", node.attrs.offset, np.float32)
    return b.node("Add", [b.node("Mul", [x[0], gain], f"{node.name}.mul"), offset], node.name)


def _power(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    """Of the size, where the op has a value and Pow has none."""
    exponent = node.attrs.exponent
    inputs = [x[0], b.constant(f"{node.name}.exponent", exponent, np.float32)]
    if exponent != int(exponent):
        inputs[0] = b.node("Abs", x, f"{node.name}.abs")
    return b.node("Pow", inputs, f"{node.name}.pow")


def _clip(b: OnnxBuilder, _graph: Graph, node: Node, x: list[str]) -> str:
    return _between(b, node, x[0], node.attrs.low, node.attrs.high)


def _between(b: OnnxBuilder, node: Node, x: str, least: float, most: float) -> str:
    ends = (("low", least), ("high", most))
    given = [
        b.constant(f"{node.name}.{n}", v, np.float32) if np.isfinite(v) else "" for n, v in ends
    ]
    return b.node("Clip", [x, *given], f"{node.name}.clip")


ONNX_OPS: Mapping[str, Form] = {
    "Gru": gru,
    "Lstm": lstm,
    "Mgu": gru,
    "SvdfFeature": svdf_feature,
    "SvdfTime": svdf_time,
    "LogMel": log_mel,
    "Mfcc": mfcc,
    "Pcen": pcen,
    "FullyConnected": _fully_connected,
    "BlockFullyConnected": _block_fully_connected,
    "Conv2D": _conv_2d,
    "DepthwiseConv2D": _depthwise_conv_2d,
    "WideMaxPool2D": _max_pool_2d,
    "WideMeanPool2D": _mean_pool_2d,
    "WideAdd": _plain("Add"),
    "WideFullyConnected": wide_fully_connected,
    "WideConv2D": wide_conv_2d,
    "AveragePool2D": _average_pool_2d,
    "MeanPool2D": _mean_pool_2d,
    "MaxPool2D": _max_pool_2d,
    "Add": _plain("Add"),
    "Relu": _relu,
    "HardSwish": _plain("HardSwish"),
    "LeakyRelu": _plain("LeakyRelu", alpha="negative_slope"),
    "Sigmoid": _plain("Sigmoid"),
    "Tanh": _plain("Tanh"),
    "HardSigmoid": _plain("HardSigmoid", alpha="alpha", beta="beta"),
    "Silu": _silu,
    "Gelu": _plain("Gelu", approximate="approximate"),
    "Elu": _plain("Elu", alpha="alpha"),
    "Selu": _plain("Selu", alpha="alpha", gamma="gamma"),
    "Softplus": _plain("Softplus"),
    "Mish": _plain("Mish"),
    "Exp": _clipped("Exp", most=MOST_OF_EXP),
    "Log": _clipped("Log", LEAST_OF_LOG),
    "Sqrt": _clipped("Sqrt", 0.0),
    "Rsqrt": _clipped("Rsqrt", LEAST_OF_RSQRT),
    "Abs": _plain("Abs"),
    "Neg": _plain("Neg"),
    "Affine": _affine,
    "Power": _power,
    "Erf": _plain("Erf"),
    "Table": _table,
    "Clip": _clip,
    **NORM_OPS,
    "Reshape": _reshape,
    **SHAPE_OPS,
}

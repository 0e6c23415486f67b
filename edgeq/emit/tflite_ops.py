"""One graph op -> TensorFlow Lite operators. LAYERS is the table; a mixture has its own module."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit import tflite_steps as step
from edgeq.emit.tflite_layer_norm import group_norm, layer_norm
from edgeq.emit.tflite_lstm import lstm
from edgeq.emit.tflite_pad import padded, scheme_of
from edgeq.emit.tflite_shapes import SHAPE_LAYERS
from edgeq.emit.tflite_svdf import svdf_feature, svdf_time
from edgeq.emit.tflite_wide import wide_conv_2d, wide_fully_connected, widen
from edgeq.emit.tflite_writer import ACTIVATION, SubgraphWriter, Value
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant
from edgeq.ops import OPS
from edgeq.ops.average_pool_2d import share_of
from edgeq.ops.op import Array, Site, quant_of
from edgeq.ops.window import spanned

NARROW = ("s4", "s3", "s2", "t2", "b1")  # these travel as int4, values unchanged
LEAST_LOGIT_STEP = 2.0**-24
Pair = tuple[int, int]
Values = dict[str, Value]
Emit = Callable[[SubgraphWriter, Graph, Node, list[Value]], Value]


def emit_nodes(sg: SubgraphWriter, graph: Graph, values: Values) -> None:
    """Every node without experts, in order; `values` maps graph tensors to written ones."""
    for node in graph.nodes:
        if not getattr(node.attrs, "experts", ()):
            emit_node(sg, graph, node, values)


def emit_node(sg: SubgraphWriter, graph: Graph, node: Node, values: Values) -> None:
    """One layer. Raises UnsupportedOp for an op without a TensorFlow Lite form."""
    if node.op not in LAYERS:
        raise UnsupportedOp(f"TFLite: no form for {node.op} ({node.name}); known: {[*LAYERS]}")
    inputs = [values[n] for n in node.inputs]
    values[node.outputs[0]] = LAYERS[node.op](sg, graph, node, inputs)


def weight_constant(sg: SubgraphWriter, name: str, codes: Array, quant: Quant, fmt: str) -> Value:
    """Codes as int8 or, for the narrow formats, packed int4."""
    if fmt == "s16":
        raise UnsupportedOp(f"TFLite has no 16-bit weights: {name} is stored in s16")
    return sg.constant(name, codes.astype(np.int8), quant, "int4" if fmt in NARROW else "int8")


def bias_constant(sg: SubgraphWriter, name: str, bias: Array, x: Quant, weight: Quant) -> Value:
    """int32, scale = input scale times weight scale, channel by channel."""
    scales = tuple(x.per_tensor * s for s in weight.scale)
    return sg.constant(name, bias.astype(np.int32), Quant(scales, 0, 0))


def fully_connected(
    sg: SubgraphWriter,
    name: str,
    x: Value,
    weight: Value,
    bias: Value,
    out: Quant,
    activation: str = "none",
) -> Value:
    """FULLY_CONNECTED on rows (batch, in)."""
    y = sg.value(name, (x.shape[0], weight.shape[0]), "int8", out)
    options = schema.FullyConnectedOptionsT(fusedActivationFunction=step.fused(activation, out))
    sg.op("FULLY_CONNECTED", [x, weight, bias], [y], options, typed_by=1)
    return y


def _refused(why: str) -> Emit:
    """Of an op that TFLite cannot say; {} is the node's name."""

    def refuse(_sg: SubgraphWriter, _graph: Graph, node: Node, _x: list[Value]) -> Value:
        raise UnsupportedOp(why.format(node.name))

    return refuse


def _fully_connected(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    codes, fmt = graph.param(node, "weight"), node.attrs.weight_format
    quant, out = _weight_quant(graph, node), _out(graph, node)
    pointwise = fmt in NARROW and len(quant.scale) > 1  # TFLM has no int4 per channel here
    shape = (codes.shape[0], 1, 1, codes.shape[1]) if pointwise else codes.shape
    weight = weight_constant(sg, node.params["weight"], codes.reshape(shape), quant, fmt)
    bias = _bias(sg, graph, node, x[0].q, quant)
    if not pointwise:
        name = node.outputs[0]
        return fully_connected(sg, name, x[0], weight, bias, out, node.attrs.activation)
    wide = step.reshape(sg, node.name + ".map", x[0], (1, 1, 1, codes.shape[1]))
    y = sg.value(node.name + ".map_out", (1, 1, 1, codes.shape[0]), "int8", out)
    options = _conv_options(_fused(graph, node), (1, 1), "VALID")
    sg.op("CONV_2D", [wide, weight, bias], [y], options, typed_by=1)
    return step.reshape(sg, node.outputs[0], y, (1, codes.shape[0]))


def _conv_2d(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    codes, quant = graph.param(node, "weight"), _weight_quant(graph, node)
    source, scheme = padded(sg, node, x[0], spanned(codes.shape[1:3], node.attrs.dilation))
    weight = weight_constant(sg, node.params["weight"], codes, quant, node.attrs.weight_format)
    y = _output(sg, graph, node)
    bias = _bias(sg, graph, node, x[0].q, quant)
    options = _conv_options(_fused(graph, node), node.attrs.stride, scheme, node.attrs.dilation)
    sg.op("CONV_2D", [source, weight, bias], [y], options, typed_by=1)
    return y


def _depthwise_conv_2d(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    codes, quant = graph.param(node, "weight"), _weight_quant(graph, node)
    source, scheme = padded(sg, node, x[0], spanned(codes.shape[:2], node.attrs.dilation))
    quant3 = Quant(quant.scale, 0, 3)
    name, fmt = node.params["weight"], node.attrs.weight_format
    weight = weight_constant(sg, name, codes[None], quant3, fmt)
    y = _output(sg, graph, node)
    bias = _bias(sg, graph, node, x[0].q, quant)
    attrs = node.attrs
    options = _depthwise_options(_fused(graph, node), attrs.stride, scheme, attrs.dilation)
    sg.op("DEPTHWISE_CONV_2D", [source, weight, bias], [y], options, typed_by=1)
    return y


def _conv_options(activation: int, stride: Pair, scheme: str, dilation: Pair = (1, 1)) -> Any:
    return schema.Conv2DOptionsT(
        padding=getattr(schema.Padding, scheme),
        strideH=stride[0],
        strideW=stride[1],
        fusedActivationFunction=activation,
        dilationHFactor=dilation[0],
        dilationWFactor=dilation[1],
    )


def _depthwise_options(activation: int, stride: Pair, scheme: str, dilation: Pair = (1, 1)) -> Any:
    return schema.DepthwiseConv2DOptionsT(
        padding=getattr(schema.Padding, scheme),
        strideH=stride[0],
        strideW=stride[1],
        depthMultiplier=1,
        fusedActivationFunction=activation,
        dilationHFactor=dilation[0],
        dilationWFactor=dilation[1],
    )


def _max_pool_2d(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    source, scheme = padded(sg, node, x[0], node.attrs.kernel, lowest=True)
    y = _output(sg, graph, node)
    sg.op("MAX_POOL_2D", [source], [y], _pool_options(node, scheme, ACTIVATION["none"]))
    return y


def _mean_pool_2d(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """AVERAGE_POOL_2D; a PAD would count, so that padding must be what SAME or VALID means."""
    scheme = scheme_of((x[0].shape[1], x[0].shape[2]), node, node.attrs.kernel)
    if scheme is None:
        padding = node.attrs.padding
        raise UnsupportedOp(f"TFLite: no average over padding {padding} ({node.name})")
    y = _output(sg, graph, node)
    sg.op("AVERAGE_POOL_2D", x, [y], _pool_options(node, scheme, _fused(graph, node)))
    return y


def _pool_options(node: Node, scheme: str, activation: int) -> Any:
    return schema.Pool2DOptionsT(
        padding=getattr(schema.Padding, scheme),
        strideH=node.attrs.stride[0],
        strideW=node.attrs.stride[1],
        filterHeight=node.attrs.kernel[0],
        filterWidth=node.attrs.kernel[1],
        fusedActivationFunction=activation,
    )


def _average_pool_2d(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """A depthwise convolution with ones, whose requantisation is the contract's.

    AVERAGE_POOL_2D and MEAN round the quotient differently: small windows disagree on 40 % of
    their outputs, which moved 2 % of the routes behind one; MEAN over a map on 13 %, and slower.
    """
    kernel, channels = node.attrs.kernel, x[0].shape[3]
    quant = Quant((share_of(Site(graph, node)),), 0)
    ones = np.ones((1, *kernel, channels), dtype=np.int8)
    weight = sg.constant(node.name + ".ones", ones, quant)
    nothing = np.zeros(channels, dtype=np.int32)
    bias = bias_constant(sg, node.name + ".bias", nothing, x[0].q, quant)
    y = _output(sg, graph, node)
    options = _depthwise_options(ACTIVATION["none"], node.attrs.stride, "VALID")
    sg.op("DEPTHWISE_CONV_2D", [x[0], weight, bias], [y], options, typed_by=1)
    return y


def _add(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    return step.add(sg, node.outputs[0], x[0], x[1], _out(graph, node), node.attrs.activation)


def _relu(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """ADD of zero with a fused activation: exact, and in the list of operators TFLM was run on."""
    zero = np.full((1,) * len(x[0].shape), x[0].q.zero_point, dtype=np.int8)
    nothing = sg.constant(node.name + ".zero", zero, x[0].quant)
    out = _out(graph, node)
    return step.add(sg, node.outputs[0], x[0], nothing, out, node.attrs.activation)


def _norm(form: Callable[[SubgraphWriter, Graph, Node, Value, Quant], Value]) -> Emit:
    return lambda sg, graph, node, x: form(sg, graph, node, x[0], _out(graph, node))


def _softmax(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """Both interpreters abort below a logit step of 2^-26, where probabilities are all equal."""
    if x[0].q.per_tensor < LEAST_LOGIT_STEP:
        coarse = Quant((LEAST_LOGIT_STEP,), x[0].q.zero_point)
        x = [step.quantize(sg, node.name + ".logits", x[0], "int8", coarse)]
    return step.softmax(sg, node.outputs[0], x[0], _out(graph, node))


def _reshape(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    return step.reshape(sg, node.outputs[0], x[0], (1, *graph.tensors[node.outputs[0]].shape))


def _fused(graph: Graph, node: Node) -> int:
    return step.fused(node.attrs.activation, _out(graph, node))


def _out(graph: Graph, node: Node) -> Quant:
    return quant_of(graph.tensors[node.outputs[0]])


def _output(sg: SubgraphWriter, graph: Graph, node: Node) -> Value:
    t = graph.tensors[node.outputs[0]]
    return sg.value(node.outputs[0], (1, *t.shape), t.dtype, t.quant)


def _weight_quant(graph: Graph, node: Node) -> Quant:
    return quant_of(graph.tensors[node.params["weight"]])


def _bias(sg: SubgraphWriter, graph: Graph, node: Node, x: Quant, weight: Quant) -> Value:
    return bias_constant(sg, node.params["bias"], graph.param(node, "bias"), x, weight)


def _plain(op: str, options: Callable[[Any], Any]) -> Emit:
    """An op that is TensorFlow Lite's operator; its options from the node's attributes."""

    def emit(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
        y = _output(sg, graph, node)
        sg.op(op, x, [y], options(node.attrs))
        return y

    return emit


def _looked_up(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """GATHER from the op's own table, for functions without an int8 operator."""
    name, shape = node.name, x[0].shape
    wide, place = sg.value(f"{name}.wide", shape, "int32"), sg.value(f"{name}.at", shape, "int32")
    types = schema.TensorType
    sg.op("CAST", x, [wide], schema.CastOptionsT(types.INT8, types.INT32))
    middle = sg.constant(f"{name}.middle", np.full((1,) * len(shape), 128, np.int32))
    sg.op("ADD", [wide, middle], [place], schema.AddOptionsT(ACTIVATION["none"], False))
    table = sg.constant(node.params["table"], graph.param(node, "table"), _out(graph, node))
    y = _output(sg, graph, node)
    sg.op("GATHER", [table, place], [y], schema.GatherOptionsT(axis=0, batchDims=0))
    return y


_NO_FRONT_END = _refused("TFLite has no audio front end: {} is one")


def _rescaled(sg: SubgraphWriter, graph: Graph, node: Node, x: list[Value]) -> Value:
    """QUANTIZE where its two roundings answer alike."""
    twice = OPS["Quantize"].lower(Site(graph, node)).values["table"]
    if np.array_equal(graph.param(node, "table"), twice):
        return step.quantize(sg, node.outputs[0], x[0], "int8", _out(graph, node))
    return _looked_up(sg, graph, node, x)


LAYERS: Mapping[str, Emit] = {
    "Gru": _refused("TFLite has no operator for a GRU: {} is one; an LSTM has one"),
    "Lstm": lstm,
    "Mgu": _refused("TFLite has no operator for an MGU: {} is one; an LSTM has one"),
    "SvdfFeature": svdf_feature,
    "SvdfTime": svdf_time,
    "LogMel": _NO_FRONT_END,
    "Mfcc": _NO_FRONT_END,
    "Pcen": _NO_FRONT_END,
    "FullyConnected": _fully_connected,
    "BlockFullyConnected": _refused("TFLite has no block scales: {} has them"),
    "Conv2D": _conv_2d,
    "DepthwiseConv2D": _depthwise_conv_2d,
    "WideMaxPool2D": _max_pool_2d,
    "WideMeanPool2D": _mean_pool_2d,
    "WideAdd": _add,
    "Widen": widen,
    "WideFullyConnected": wide_fully_connected,
    "WideConv2D": wide_conv_2d,
    "MaxPool2D": _max_pool_2d,
    "MeanPool2D": _mean_pool_2d,
    "AveragePool2D": _average_pool_2d,
    "Add": _add,
    "Relu": _relu,
    "HardSwish": _plain("HARD_SWISH", lambda _: schema.HardSwishOptionsT()),
    "LeakyRelu": _plain("LEAKY_RELU", lambda a: schema.LeakyReluOptionsT(a.negative_slope)),
    "Sigmoid": _plain("LOGISTIC", lambda _: None),
    "Tanh": _plain("TANH", lambda _: None),
    "Abs": _plain("ABS", lambda _: schema.AbsOptionsT()),
    **dict.fromkeys(
        (
            "HardSigmoid",
            "Silu",
            "Elu",  # LiteRT's reference kernels lack it
            "Gelu",
            "Selu",
            "Softplus",
            "Mish",
            "Exp",
            "Log",
            "Sqrt",
            "Rsqrt",
            "Neg",
            "Clip",
            "Affine",
            "Power",
            "Erf",
            "Table",
        ),
        _looked_up,
    ),
    "Rescale": _rescaled,
    "LayerNorm": _norm(layer_norm),
    "GroupNorm": _norm(group_norm),
    "Softmax": _softmax,
    "SoftmaxQ31": _softmax,
    "Reshape": _reshape,
    **SHAPE_LAYERS,
}

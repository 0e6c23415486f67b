"""The ONNX form of norms, Softmax and ArgMax, which work on the last axis."""

import math
from collections.abc import Callable, Mapping

import numpy as np
from onnx import TensorProto

from edgeq.emit.onnx_builder import OnnxBuilder, Shape
from edgeq.ir import Graph, Node
from edgeq.ops.layer_norm import FRACTION_BITS
from edgeq.ops.op import quant_of

Form = Callable[[OnnxBuilder, Graph, Node, list[str]], str]


def _last_axis(b: OnnxBuilder, graph: Graph, node: Node, x: str, form: Callable[[str], str]) -> str:
    """Applies `form`, which works on the last axis, to a tensor that may be an NCHW map."""
    shape = graph.tensors[node.inputs[0]].shape
    if len(shape) != 3:
        return form(x)
    return b.to_channels_first(form(b.to_channels_last(x, node.name)), node.name)


def _constants(b: OnnxBuilder, graph: Graph, node: Node, n: int) -> tuple[str, str, float]:
    """gamma, beta and epsilon as the integer constants have them, back in real numbers; `n` values
    are normalised together.
    """
    params, name = graph.params(node), node.name
    step = quant_of(graph.tensors[node.outputs[0]]).per_tensor / 2.0 ** int(params["shift"][0])
    gamma = b.integers(
        f"{name}.gamma", params["gamma"], TensorProto.INT16, [step * 2**FRACTION_BITS]
    )
    beta = b.integers(f"{name}.beta", params["beta"], TensorProto.INT32, [step])
    scale_in = quant_of(graph.tensors[node.inputs[0]]).per_tensor
    return gamma, beta, float(int(params["epsilon"][0]) * (scale_in / n) ** 2)


def _layer_norm(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    gamma, beta, epsilon = _constants(b, graph, node, graph.param(node, "gamma").size)

    def form(value: str) -> str:
        inputs = [value, gamma, beta]
        return b.node("LayerNormalization", inputs, f"{node.name}.norm", axis=-1, epsilon=epsilon)

    return _last_axis(b, graph, node, x[0], form)


def _softmax(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    def form(value: str) -> str:
        return b.node("Softmax", [value], f"{node.name}.softmax", axis=-1)

    return _last_axis(b, graph, node, x[0], form)


def _log_softmax(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    def form(value: str) -> str:
        return b.node("LogSoftmax", [value], f"{node.name}.log_softmax", axis=-1)

    return _last_axis(b, graph, node, x[0], form)


def _l2_normalize(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    def form(value: str) -> str:
        return b.node("LpNormalization", [value], f"{node.name}.unit", axis=-1, p=2)

    return _last_axis(b, graph, node, x[0], form)


def _arg_max(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    name, last = node.name, int(node.attrs.last)

    def form(value: str) -> str:
        place = b.node("ArgMax", [value], f"{name}.place", axis=-1, select_last_index=last)
        return b.node("Cast", [place], f"{name}.number", to=TensorProto.FLOAT)

    return _last_axis(b, graph, node, x[0], form)


def _group_norm(b: OnnxBuilder, graph: Graph, node: Node, x: list[str]) -> str:
    """GroupNormalization of maps; else by means over (cells, channels of a group)."""
    shape, attrs, name = graph.tensors[node.inputs[0]].shape, node.attrs, node.name
    cells, width = math.prod(shape[attrs.rows : -1]), shape[-1] // attrs.groups
    gamma, beta, epsilon = _constants(b, graph, node, cells * width)
    if len(shape) == 3 and attrs.rows == 0 and attrs.centred:
        given = {"num_groups": attrs.groups, "epsilon": epsilon}
        return b.node("GroupNormalization", [x[0], gamma, beta], f"{name}.norm", **given)
    axes = b.constant(f"{name}.axes", [1, 3], np.int64)
    least = b.constant(f"{name}.epsilon", epsilon, np.float32)

    def shaped(value: str, target: Shape, suffix: str) -> str:
        wanted = b.constant(f"{name}.{suffix}_shape", target, np.int64)
        return b.node("Reshape", [value, wanted], f"{name}.{suffix}")

    def form(value: str) -> str:
        wide = shaped(value, (-1, cells, attrs.groups, width), "groups")
        if attrs.centred:
            mean = b.node("ReduceMean", [wide, axes], f"{name}.mean")
            wide = b.node("Sub", [wide, mean], f"{name}.centred")
        square = b.node("Mul", [wide, wide], f"{name}.square")
        power = b.node("ReduceMean", [square, axes], f"{name}.power")
        safe = b.node("Add", [power, least], f"{name}.safe")
        wide = b.node("Div", [wide, b.node("Sqrt", [safe], f"{name}.root")], f"{name}.unit")
        scaled = b.node("Mul", [shaped(wide, (-1, *shape), "whole"), gamma], f"{name}.scaled")
        return b.node("Add", [scaled, beta], f"{name}.moved")

    return _last_axis(b, graph, node, x[0], form)


NORM_OPS: Mapping[str, Form] = {
    "LayerNorm": _layer_norm,
    "GroupNorm": _group_norm,
    "Softmax": _softmax,
    "SoftmaxQ31": _softmax,
    "LogSoftmax": _log_softmax,
    "L2Normalize": _l2_normalize,
    "ArgMax": _arg_max,
}

"""Grows a quantised graph layer by layer, as the passes leave it, for the tests of emitters.

Each layer is run on sample rows as it is added, so that scales and multipliers fit what really
flows through it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.kernels import select
from edgeq.ops import OPS
from edgeq.ops.add import LEFT_SHIFT, Add
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.delay import Delay
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fixed_point import exp_table, quantize_multipliers
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.layer_norm import LayerNorm, integer_params
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mean_pool_2d import MeanPool2D
from edgeq.ops.op import WEIGHT_RANGE, Array, Call, Io, Site
from edgeq.ops.relu import Relu
from edgeq.ops.reshape import Reshape
from edgeq.ops.softmax import OUTPUT_QUANT, Softmax
from edgeq.ops.softmax_q31 import SoftmaxQ31

Rng = np.random.Generator


def random_codes(rng: Rng, weight_format: str, shape: tuple[int, ...]) -> Array:
    """Integer weights that the format can hold: int8, int16 for s16."""
    low, high = WEIGHT_RANGE[weight_format]
    step = 2 if weight_format in ("s2", "b1") else 1
    dtype = np.int16 if weight_format == "s16" else np.int8
    return rng.choice(np.arange(low, high + 1, step), size=shape).astype(dtype)


def input_rows(rng: Rng, graph: Graph, rows: int) -> Array:
    """Random int8 rows for a graph, extremes among them: (rows, *input shape)."""
    x = rng.integers(-128, 128, (rows, *graph.tensors[graph.inputs[0]].shape), dtype=np.int8)
    x[: min(rows, 2)] = np.array([-128, 127], np.int8)[: min(rows, 2)].reshape(
        -1, *[1] * (x.ndim - 1)
    )
    return x


def kernel_of(op: str, weight_format: str | None) -> str | None:
    code = OPS[op].code
    return select(code.kernel, weight_format).name if isinstance(code, Call) else None


def fitting_quant(rng: Rng, y: Array, rectified: bool) -> Quant:
    """Covers nearly all of the real values y: a few saturate, as on real data."""
    if rectified:
        return Quant((max(float(np.quantile(y, 0.99)), 1e-3) / 255.0,), -128)
    return Quant((float(np.quantile(np.abs(y), 0.99)) / 110.0,), int(rng.integers(-15, 16)))


class GraphBuilder:
    """Grows one graph layer by layer. Methods return the name of the tensor they made."""

    def __init__(self, rng: Rng, name: str, samples: Array, quant: Quant, prefix: str = "") -> None:
        self.rng, self.name, self.prefix = rng, name, prefix
        self.last = self.input = prefix + "input"
        self.values: dict[str, Array] = {self.input: samples}
        self.tensors = {self.input: TensorType(samples.shape[1:], "int8", quant)}
        self.constants: dict[str, Array] = {}
        self.nodes: list[Node] = []

    def quant(self, tensor: str | None = None) -> Quant:
        quant = self.tensors[tensor or self.last].quant
        assert quant is not None
        return quant

    def graph(self, outputs: tuple[str, ...] | None = None) -> Graph:
        return Graph(
            self.name,
            (self.input,),
            outputs or (self.last,),
            tuple(self.nodes),
            self.tensors,
            self.constants,
        )

    def constant(self, name: str, value: Array, quant: Quant | None = None) -> str:
        self.constants[name] = value
        self.tensors[name] = TensorType(value.shape, str(value.dtype), quant)
        return name

    def _append(
        self,
        op: str,
        inputs: Sequence[str],
        attrs: Any,
        params: dict[str, Array],
        quant: Quant,
        weight_quant: Quant | None = None,
    ) -> str:
        name = f"{self.prefix}{op.lower()}_{len(self.nodes)}"
        roles = {
            role: self.constant(f"{name}.{role}", v, weight_quant if role == "weight" else None)
            for role, v in params.items()
        }
        types = tuple(self.tensors[i] for i in inputs)
        shape = OPS[op].result_shape(attrs, tuple(t.shape for t in types), params)
        output = TensorType(shape, "int8", quant)
        kernel = kernel_of(op, getattr(attrs, "weight_format", None))
        node = Node(name, op, tuple(inputs), (name + ".out",), attrs, roles, kernel)
        self.nodes.append(node)
        self.tensors[name + ".out"] = output
        x = tuple(self.values[i] for i in inputs)
        self.values[name + ".out"] = OPS[op].reference(attrs, Io(types, output), x, params)
        self.last = name + ".out"
        return self.last

    def _weighted(self, op: str, attrs: Any, weight: Array, axis: int, quant: Quant | None) -> str:
        """A layer with weights; its output scale follows the spread of its accumulators."""
        source, scale_in, zero_in = self.last, self.quant().per_tensor, self.quant().zero_point
        channels = weight.shape[axis]
        level = max(abs(low) for low in WEIGHT_RANGE[attrs.weight_format])
        scales = self.rng.uniform(0.5, 1.5, channels) / level
        along = [channels if i == axis else 1 for i in range(weight.ndim)]
        float_params = {"weight": weight * scales.reshape(along), "bias": np.zeros(channels)}
        x = (self.values[source].astype(float) - zero_in) * scale_in
        y = OPS[op].float_forward(replace(attrs, activation="none"), (x,), float_params)
        bias = self.rng.normal(0, y.std() / 4, channels) - y.mean(axis=tuple(range(y.ndim - 1)))
        if quant is None:
            quant = fitting_quant(self.rng, y + bias, attrs.activation != "none")
        multiplier, shift = quantize_multipliers(scale_in * scales / quant.per_tensor)
        params = {
            "weight": weight,
            "bias": np.round(bias / (scale_in * scales)).astype(np.int32),
            "multiplier": multiplier,
            "shift": shift,
        }
        weight_quant = Quant(tuple(float(s) for s in scales), 0, axis)
        return self._append(op, (source,), attrs, params, quant, weight_quant)

    def fully_connected(
        self, units: int, fmt: str = "s8", activation: str = "none", quant: Quant | None = None
    ) -> str:
        weight = random_codes(self.rng, fmt, (units, *self.tensors[self.last].shape))
        attrs = FullyConnected(fmt, activation)
        return self._weighted("FullyConnected", attrs, weight, 0, quant)

    def conv(
        self,
        channels: int,
        kernel: tuple[int, int],
        fmt: str = "s8",
        activation: str = "relu",
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
    ) -> str:
        depth = self.tensors[self.last].shape[2] // groups
        weight = random_codes(self.rng, fmt, (channels, *kernel, depth))
        attrs = Conv2D(stride, padding, fmt, activation, dilation, groups)
        return self._weighted("Conv2D", attrs, weight, 0, None)

    def depthwise(
        self,
        kernel: tuple[int, int],
        fmt: str = "s8",
        activation: str = "relu",
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilation: tuple[int, int] = (1, 1),
    ) -> str:
        weight = random_codes(self.rng, fmt, (*kernel, self.tensors[self.last].shape[2]))
        attrs = DepthwiseConv2D(stride, padding, fmt, activation, dilation)
        return self._weighted("DepthwiseConv2D", attrs, weight, 2, None)

    def layer_norm(self, activation: str = "none") -> str:
        (n,) = self.tensors[self.last].shape
        quant = Quant((4.0 / 127,), -128 if activation == "relu" else 3)
        params = integer_params(
            self.rng.uniform(0.5, 1.5, n),
            self.rng.normal(0, 0.3, n),
            1e-5,
            self.quant().per_tensor,
            quant.per_tensor,
        )
        return self._append("LayerNorm", (self.last,), LayerNorm(1e-5, activation), params, quant)

    def add(self, a: str, b: str, activation: str = "none") -> str:
        s_a, s_b = self.quant(a).per_tensor, self.quant(b).per_tensor
        out = Quant((float(np.hypot(s_a, s_b)),), -128 if activation == "relu" else -5)
        twice = 2 * max(s_a, s_b)
        reals = (s_a / twice, s_b / twice, twice / (2**LEFT_SHIFT * out.per_tensor))
        multiplier, shift = quantize_multipliers(reals)
        params = {"multiplier": multiplier, "shift": shift}
        return self._append("Add", (a, b), Add(activation), params, out)

    def average_pool(self, kernel: tuple[int, int], stride: tuple[int, int]) -> str:
        """A pool over the whole map gets a finer output scale of its own."""
        quant = self.quant()
        if self.tensors[self.last].shape[:2] == kernel:
            quant = Quant((quant.per_tensor / 1.7,), quant.zero_point)
        share = float(np.float32(1 / (kernel[0] * kernel[1])))
        real = self.quant().per_tensor * share / quant.per_tensor
        multiplier, shift = quantize_multipliers([real])
        params = {"multiplier": multiplier, "shift": shift}
        attrs = AveragePool2D(kernel, stride)
        return self._append("AveragePool2D", (self.last,), attrs, params, quant)

    def mean_pool(
        self,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        activation: str = "none",
    ) -> str:
        """With the reciprocals that its kernel reads."""
        attrs = MeanPool2D(kernel, stride, padding, activation)
        return self._lowered("MeanPool2D", attrs, self.quant())

    def max_pool(
        self,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> str:
        attrs = MaxPool2D(kernel, stride, padding)
        return self._append("MaxPool2D", (self.last,), attrs, {}, self.quant())

    def relu(self, activation: str = "relu") -> str:
        return self._append("Relu", (self.last,), Relu(activation), {}, self.quant())

    def activation(self, op: str) -> str:
        """An op of the look-up kernel, its attributes as they are by default."""
        attrs = OPS[op].attrs()
        kind = self.tensors[self.last]
        own = OPS[op].scale(attrs, Io((kind,), kind))
        if isinstance(own, Quant):
            return self._lowered(op, attrs, own)
        y = OPS[op].float_forward(attrs, (self.values[self.last] * self.quant().per_tensor,), {})
        return self._lowered(op, attrs, fitting_quant(self.rng, y, rectified=False))

    def _lowered(self, op: str, attrs: Any, quant: Quant) -> str:
        """An op whose constants follow from its types."""
        source, name = self.tensors[self.last], "out"
        shape = OPS[op].result_shape(attrs, (source.shape,), {})
        tensors = {self.last: source, name: TensorType(shape, "int8", quant)}
        node = Node("", op, (self.last,), (name,), attrs)
        made = OPS[op].lower(Site(Graph("", (), (), (node,), tensors, {}), node))
        return self._append(op, (self.last,), attrs, dict(made.values), quant)

    def flatten(self) -> str:
        size = int(np.prod(self.tensors[self.last].shape))
        return self._append("Reshape", (self.last,), Reshape((size,)), {}, self.quant())

    def delay(self) -> str:
        return self._append("Delay", (self.last,), Delay(), {}, self.quant())

    def softmax(self) -> str:
        params = {"exp_table": exp_table(self.quant().per_tensor)}
        return self._append("Softmax", (self.last,), Softmax(), params, OUTPUT_QUANT)

    def softmax_q31(self) -> str:
        return self._lowered("SoftmaxQ31", SoftmaxQ31(), OUTPUT_QUANT)

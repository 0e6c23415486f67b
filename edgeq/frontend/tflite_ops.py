"""How each TensorFlow Lite operator is read; READERS is the table. Integers are taken as they are.

A reader appends nodes to the graph that grows, or raises Refused with the reason.
"""

from collections.abc import Callable, Mapping

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.tflite_file import Operator, Tensor
from edgeq.frontend.tflite_graph import Array, Growing, quant_of_tensor
from edgeq.frontend.tflite_shapes import SHAPE_READERS, amounts, elementwise, pad
from edgeq.ir import Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.add import Add
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fixed_point import quantize_multipliers
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.functions import SIGMOID_QUANT, TANH_QUANT
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mean_pool_2d import MeanPool2D
from edgeq.ops.op import WEIGHT_RANGE
from edgeq.ops.relu import Relu
from edgeq.ops.softmax import OUTPUT_QUANT
from edgeq.ops.softmax_q31 import SoftmaxQ31

Reader = Callable[[Growing, Operator], None]
ACTIVATIONS = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6", 4: "tanh", 5: "sign_bit"}
TAKEN = ("none", "relu", "relu6")
Padding = tuple[int, int, int, int]


def _fully_connected(g: Growing, op: Operator) -> None:
    weight = g.operand(op, 1)
    if op.option(1, "b"):
        raise Refused("its weights are shuffled")
    if len(weight.shape) != 2:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    _, inputs = weight.shape
    if g.operand(op, 0).size != inputs:
        raise Refused(f"it takes rows of features: {list(g.operand(op, 0).shape)} by {inputs}")
    codes, fmt = _codes(g, weight)
    real = _per_channel(g, op, weight)
    if len(weight.scale) == 1:  # TensorFlow Lite multiplies this pair in float32
        product = np.float32(g.scale(op, 0)) * np.asarray(weight.scale, np.float32)
        real = product.astype(np.float64) / quant_of_tensor(g.output(op)).per_tensor
    params = _weighted(g, op, codes, weight, real, 0)
    source = g.reshaped(op, g.value(op, 0), (inputs,))
    g.add(op, "FullyConnected", FullyConnected(fmt, _activation(op, 0)), (source,), params)


def _conv_2d(g: Growing, op: Operator) -> None:
    weight = g.operand(op, 1)
    if len(weight.shape) != 4:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    source, given = g.padded_map(op)
    if given.channels != weight.shape[3]:
        raise Refused(f"it has groups: weights {list(weight.shape)} on {given.channels} channels")
    codes, fmt = _codes(g, weight)
    codes = _dilated(codes, op.option(5, "i", 1), op.option(4, "i", 1), (1, 2))
    stride, padding = _window(op, codes.shape[1:3], given.size)
    params = _weighted(g, op, codes, weight, _per_channel(g, op, weight), 0)
    attrs = Conv2D(stride, given.with_padding(padding), fmt, _activation(op, 3))
    g.add(op, "Conv2D", attrs, (source,), params)


def _depthwise_conv_2d(g: Growing, op: Operator) -> None:
    weight = g.operand(op, 1)
    if len(weight.shape) != 4 or weight.shape[0] != 1:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    source, given = g.padded_map(op)
    codes, fmt = _codes(g, weight)
    codes = _dilated(codes, op.option(6, "i", 1), op.option(5, "i", 1), (1, 2))
    stride, padding = _window(op, codes.shape[1:3], given.size)
    real, activation = _per_channel(g, op, weight), _activation(op, 4)
    padding = given.with_padding(padding)
    if given.channels == codes.shape[3]:
        params = _weighted(g, op, codes[0], weight, real, 2)
        attrs = DepthwiseConv2D(stride, padding, fmt, activation)
        return g.add(op, "DepthwiseConv2D", attrs, (source,), params)
    if given.channels != 1:
        many = codes.shape[3] // given.channels
        raise Refused(f"it has depth multiplier {many} on {given.channels} channels")
    # on one channel the products are those of a convolution with as many outputs
    params = _weighted(g, op, codes.transpose(3, 1, 2, 0), weight, real, 0)
    return g.add(op, "Conv2D", Conv2D(stride, padding, fmt, activation), (source,), params)


def _codes(g: Growing, weight: Tensor) -> tuple[Array, str]:
    """(codes int8, weight format): int4 codes of -8 travel as int8."""
    if weight.dtype not in ("int8", "int4"):
        raise Refused(f"its weights are {weight.dtype}")
    if any(weight.zero_point):
        raise Refused("its weights have a zero point that is not 0")
    codes = g.constant(weight)
    narrow = weight.dtype == "int4" and codes.min() >= WEIGHT_RANGE["s4"][0]
    return np.ascontiguousarray(codes), "s4" if narrow else "s8"


def _per_channel(g: Growing, op: Operator, weight: Tensor) -> Array:
    """Scale of the sums in output steps, multiplied in float64 as convolutions do."""
    scale = np.float64(g.scale(op, 0)) * np.asarray(weight.scale, np.float64)
    return np.asarray(scale / quant_of_tensor(g.output(op)).per_tensor)


def _weighted(
    g: Growing, op: Operator, codes: Array, weight: Tensor, real: Array, axis: int
) -> Mapping[str, str]:
    """The constants of a layer with weights; `axis` of the codes counts outputs."""
    outputs = codes.shape[axis]
    if len(weight.scale) not in (1, outputs):
        raise Refused(f"it has {len(weight.scale)} weight scales for {outputs} outputs")
    bias = np.zeros(outputs, np.int32)
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        tensor = g.operand(op, 2)
        if tensor.dtype != "int32" or tensor.size != outputs:
            raise Refused(f"its bias is {tensor.dtype}{list(tensor.shape)}")
        bias = g.constant(tensor).reshape(outputs).astype(np.int32)
    multiplier, shift = quantize_multipliers(np.broadcast_to(real, (outputs,)))
    values = {"weight": codes, "bias": bias, "multiplier": multiplier, "shift": shift}
    quant = Quant(weight.scale, 0, axis)
    return g.constants(op, values, {"weight": TensorType(codes.shape, "int8", quant)})


def _dilated(codes: Array, down: int, across: int, axes: tuple[int, int]) -> Array:
    """Zeros between the taps: what a dilated window skips adds nothing to a sum."""
    if min(down, across) < 1 or max(down, across) > 64:
        raise Refused(f"it has dilation {down}, {across}")
    for axis, step in zip(axes, (down, across), strict=True):
        shape = list(codes.shape)
        shape[axis] = (shape[axis] - 1) * step + 1
        wide = np.zeros(shape, codes.dtype)
        wide[(slice(None),) * axis + (slice(None, None, step),)] = codes
        codes = wide
    return codes


def _window(
    op: Operator, kernel: tuple[int, ...], size: tuple[int, int]
) -> tuple[tuple[int, int], Padding]:
    """(stride, padding) of the first three options: SAME puts the odd cell at the end."""
    stride = int(op.option(2, "i")), int(op.option(1, "i"))
    if min(stride) < 1 or max(stride) > 4096:
        raise Refused(f"it has stride {stride}")
    if op.option(0, "b"):
        return stride, (0, 0, 0, 0)
    total = [
        max((-(-size[i] // stride[i]) - 1) * stride[i] + kernel[i] - size[i], 0) for i in (0, 1)
    ]
    top, left = total[0] // 2, total[1] // 2
    return stride, (top, left, total[0] - top, total[1] - left)


def _activation(op: Operator, place: int) -> str:
    code = op.option(place, "b")
    name = ACTIVATIONS.get(code, str(code))
    if name not in TAKEN:
        raise Refused(f"it has fused activation {name}")
    return name


def _pool(g: Growing, op: Operator, average: bool) -> None:
    source, given = g.map(op)
    kernel = int(op.option(4, "i")), int(op.option(3, "i"))
    if min(kernel) < 1 or max(kernel) > 4096:
        raise Refused(f"it has filter {kernel}")
    stride, padding = _window(op, kernel, given.size)
    g.same_scale(op)
    activation = _activation(op, 5)
    if average:
        attrs = MeanPool2D(kernel, stride, padding, activation)
        return g.add(op, "MeanPool2D", attrs, (source,))
    pool = MaxPool2D(kernel, stride, padding)
    if activation == "none":
        return g.add(op, "MaxPool2D", pool, (source,))
    largest = g.between(op, "MaxPool2D", pool, source, "pool")
    return g.add(op, "Relu", Relu(activation), (largest,))


def _elementwise(g: Growing, op: Operator) -> None:
    """ADD of two activations of one shape has the shorter kernel."""
    activation = _activation(op, 0)
    tensors = [g.operand(op, i) for i in (0, 1)]
    plain = not any(g.file.is_constant(t) for t in tensors)
    if op.op != "ADD" or not plain or tensors[0].shape != tensors[1].shape:
        return elementwise(g, op, activation)
    return g.add(op, "Add", Add(activation), (g.value(op, 0), g.value(op, 1)))


def _relu(activation: str) -> Reader:
    def read(g: Growing, op: Operator) -> None:
        g.same_scale(op)
        g.add(op, "Relu", Relu(activation), (g.value(op, 0),))

    return read


def _softmax(g: Growing, op: Operator) -> None:
    beta, quant = op.option(0, "f", 0.0), quant_of_tensor(g.output(op))
    if beta != 1.0:
        raise Refused(f"it has beta {beta:g}")
    if quant != OUTPUT_QUANT:
        raise Refused("its output's scale is not 1/256 with zero point -128")
    given = g.operand(op, 0)
    if not given.shape or given.size != given.shape[-1]:
        raise Refused(f"it is over several rows: {list(given.shape)}")
    source = g.reshaped(op, g.value(op, 0), (given.size,))
    g.add(op, "SoftmaxQ31", SoftmaxQ31(), (source,))


def _reshape(g: Growing, op: Operator) -> None:
    """The new shape is the output's own, whether options, a second input or nothing says it too."""
    g.same_scale(op)
    g.alias(op)


def _pad(g: Growing, op: Operator) -> None:
    """Of a map it is left to the windows that read it."""
    by = amounts(g, op)
    if len(by) != 4 or by[3].any():
        return pad(g, op)
    g.same_scale(op)
    return g.pad(op, (int(by[1, 0]), int(by[2, 0]), int(by[1, 1]), int(by[2, 1])))


def _nothing(_op: Operator) -> dict[str, float]:
    return {}


def _table_of(
    name: str, wanted: Quant | None = None, attrs: Callable[[Operator], dict[str, float]] = _nothing
) -> Reader:
    """A function of one number. `wanted`: the only output scale that TensorFlow Lite allows."""

    def read(g: Growing, op: Operator) -> None:
        if wanted is not None and quant_of_tensor(g.output(op)) != wanted:
            steps = round(1 / wanted.per_tensor)
            raise Refused(
                f"its output's scale is not 1/{steps} with zero point {wanted.zero_point}"
            )
        g.add(op, name, OPS[name].attrs(**attrs(op)), (g.value(op, 0),))

    return read


def _share(op: Operator) -> float:
    """The first option, from 0 to 1."""
    value = float(op.option(0, "f", 0.0))
    if not 0.0 <= value <= 1.0:
        raise Refused(f"it has alpha {value:g}; 0 to 1 is taken")
    return value


READERS: Mapping[str, Reader] = {
    "FULLY_CONNECTED": _fully_connected,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "AVERAGE_POOL_2D": lambda g, op: _pool(g, op, average=True),
    "MAX_POOL_2D": lambda g, op: _pool(g, op, average=False),
    "ADD": _elementwise,
    "SUB": _elementwise,
    "MUL": _elementwise,
    "RELU": _relu("relu"),
    "RELU6": _relu("relu6"),
    "HARD_SWISH": _table_of("HardSwish"),
    "LEAKY_RELU": _table_of("LeakyRelu", attrs=lambda op: {"negative_slope": _share(op)}),
    "LOGISTIC": _table_of("Sigmoid", SIGMOID_QUANT),
    "TANH": _table_of("Tanh", TANH_QUANT),
    "ELU": _table_of("Elu"),
    "ABS": _table_of("Abs"),
    "SOFTMAX": _softmax,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "PAD": _pad,
    **SHAPE_READERS,
}

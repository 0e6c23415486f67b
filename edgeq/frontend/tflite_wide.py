"""Readers of operators on int16 activations (16x8), whose integers are the file's.

TensorFlow Lite Micro adds in 64 bits; in a CONV_2D whose bias is int32 in 32.
"""

from collections.abc import Mapping

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.tflite_file import Operator, Tensor
from edgeq.frontend.tflite_filters import activation_of, dilation_of, window_of
from edgeq.frontend.tflite_graph import Array, GivenMap, Growing, quant_of_tensor
from edgeq.frontend.tflite_shapes import Reader, quantize
from edgeq.ir import Quant, TensorType
from edgeq.ops import wide
from edgeq.ops.wide import INT16
from edgeq.ops.wide_conv_2d import WideConv2D
from edgeq.ops.wide_fully_connected import WideFullyConnected
from edgeq.ops.wide_ops import WideAdd, WideMaxPool2D, WideMeanPool2D, Widen
from edgeq.ops.window import spanned


def either(narrow: Reader, of_int16: Reader) -> Reader:
    """By the type of what the operator reads."""

    def read(g: Growing, op: Operator) -> None:
        wide_input = g.operand(op, 0).dtype == "int16"
        return of_int16(g, op) if wide_input else narrow(g, op)

    return read


def wide_fully_connected(g: Growing, op: Operator) -> None:
    weight = g.operand(op, 1)
    if op.option(1, "b") or len(weight.shape) != 2:
        raise Refused(f"its weights are shuffled, or have shape {list(weight.shape)}")
    outputs, inputs = weight.shape
    rows, rest = divmod(g.operand(op, 0).size, inputs)
    if rest:
        raise Refused(f"it takes {list(g.operand(op, 0).shape)} by weights {list(weight.shape)}")
    real = _per_channel(g, op, weight)
    if len(weight.scale) == 1:  # TensorFlow Lite multiplies this pair in float32
        product = np.float32(g.scale(op, 0, INT16)) * np.asarray(weight.scale, np.float32)
        real = product.astype(np.float64) / quant_of_tensor(g.output(op), INT16).per_tensor
    activation, codes = activation_of(op, 0), _codes(g, weight)
    if rows > 1:  # a pixel each: the same sums
        params = _weighted(g, op, codes.reshape(outputs, 1, 1, inputs), weight, real, "int64")
        source = g.reshaped(op, g.value(op, 0, INT16), (1, rows, inputs))
        attrs = WideConv2D(activation=activation)
        return g.add(op, "WideConv2D", attrs, (source,), params, dtypes=INT16)
    params = _weighted(g, op, codes, weight, real, "int64")
    source = g.reshaped(op, g.value(op, 0, INT16), (inputs,))
    layer = WideFullyConnected(activation)
    return g.add(op, "WideFullyConnected", layer, (source,), params, dtypes=INT16)


def wide_conv_2d(g: Growing, op: Operator) -> None:
    weight = g.operand(op, 1)
    if len(weight.shape) != 4:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    source = g.padded_map(op, INT16)
    channels = source[1].channels
    groups, rest = divmod(channels, weight.shape[3])
    if rest or not groups or weight.shape[0] % groups:
        raise Refused(f"weights {list(weight.shape)} on {channels} channels")
    bias = _bias(g, op)
    sums = "int32" if bias is not None and bias.dtype == "int32" else "int64"
    return _slid(g, op, source, _codes(g, weight), (3, 4), groups, sums)


def wide_depthwise_conv_2d(g: Growing, op: Operator) -> None:
    """A group a channel, with the outputs that it makes of it."""
    weight = g.operand(op, 1)
    if len(weight.shape) != 4 or weight.shape[0] != 1:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    source = g.padded_map(op, INT16)
    channels = source[1].channels
    times, rest = divmod(weight.shape[3], channels)
    if rest or not times:
        raise Refused(f"weights {list(weight.shape)} on {channels} channels")
    codes = np.ascontiguousarray(_codes(g, weight).transpose(3, 1, 2, 0))
    return _slid(g, op, source, codes, (4, 5), channels, "int64")


def _slid(
    g: Growing,
    op: Operator,
    source: tuple[str, GivenMap],
    codes: Array,
    places: tuple[int, int],
    groups: int,
    sums: str,
) -> None:
    """`places` of the options for the activation and the dilation."""
    dilation, (name, given) = dilation_of(op, places[1]), source
    stride, padding = window_of(op, spanned(codes.shape[1:3], dilation), given.size)
    weight, padding = g.operand(op, 1), given.with_padding(padding)
    attrs = WideConv2D(stride, padding, activation_of(op, places[0]), dilation, groups, sums)
    params = _weighted(g, op, codes, weight, _per_channel(g, op, weight), sums)
    return g.add(op, "WideConv2D", attrs, (name,), params, dtypes=INT16)


def _codes(g: Growing, weight: Tensor) -> Array:
    if weight.dtype != "int8":
        raise Refused(f"its weights are {weight.dtype}; beside int16 activations int8 is taken")
    if any(weight.zero_point):
        raise Refused("its weights have a zero point that is not 0")
    return np.ascontiguousarray(g.constant(weight))


def _per_channel(g: Growing, op: Operator, weight: Tensor) -> Array:
    """Scale of the sums in output steps, multiplied in float64 as convolutions do."""
    scale = np.float64(g.scale(op, 0, INT16)) * np.asarray(weight.scale, np.float64)
    return np.asarray(scale / quant_of_tensor(g.output(op), INT16).per_tensor)


def _bias(g: Growing, op: Operator) -> Tensor | None:
    return g.operand(op, 2) if len(op.inputs) > 2 and op.inputs[2] >= 0 else None


def _weighted(
    g: Growing, op: Operator, codes: Array, weight: Tensor, real: Array, sums: str
) -> dict[str, str]:
    """The constants of a layer whose weights have their outputs first."""
    outputs, bias = len(codes), _bias(g, op)
    if len(weight.scale) not in (1, outputs):
        raise Refused(f"it has {len(weight.scale)} weight scales for {outputs} outputs")
    added = np.zeros(outputs, np.int64)
    if bias is not None:
        if bias.dtype != sums or bias.size != outputs:
            raise Refused(f"its bias is {bias.dtype}{list(bias.shape)}, not {sums}")
        added = g.constant(bias).reshape(outputs).astype(np.int64)
    integers = wide.integers(np.broadcast_to(real, (outputs,)), sums)
    values = {"weight": codes, "bias": added, **integers}
    types = {"weight": TensorType(codes.shape, "int8", Quant(weight.scale, 0, 0))}
    return g.constants(op, values, types)


def _pool(g: Growing, op: Operator) -> None:
    source, given = g.map(op, INT16)
    kernel = int(op.option(4, "i")), int(op.option(3, "i"))
    if min(kernel) < 1 or max(kernel) > 4096:
        raise Refused(f"it has filter {kernel}")
    stride, padding = window_of(op, kernel, given.size)
    g.same_scale(op, dtypes=INT16)
    activation = activation_of(op, 5)
    if op.op == "AVERAGE_POOL_2D":
        mean = WideMeanPool2D(kernel, stride, padding, activation)
        return g.add(op, "WideMeanPool2D", mean, (source,), dtypes=INT16)
    if activation != "none":
        raise Refused(f"it has fused activation {activation}, which is taken on int8")
    largest = WideMaxPool2D(kernel, stride, padding)
    return g.add(op, "WideMaxPool2D", largest, (source,), dtypes=INT16)


def _sum(g: Growing, op: Operator) -> None:
    """Of two activations of one shape."""
    attrs = WideAdd(activation_of(op, 0))
    sources = g.value(op, 0, INT16), g.value(op, 1, INT16)
    return g.add(op, "WideAdd", attrs, sources, dtypes=INT16)


def quantize_either(g: Growing, op: Operator) -> None:
    """int16 to int8 and back; between int16 where nothing changes."""
    types = g.operand(op, 0).dtype, g.output(op).dtype
    if types == ("int8", "int16"):
        return g.add(op, "Widen", Widen(), (g.value(op, 0),), dtypes=INT16)
    if types == ("int16", "int16"):
        g.same_scale(op, dtypes=INT16)
        return g.alias(op, INT16)
    return quantize(g, op)


WIDE_READERS: Mapping[str, Reader] = {
    "FULLY_CONNECTED": wide_fully_connected,
    "CONV_2D": wide_conv_2d,
    "DEPTHWISE_CONV_2D": wide_depthwise_conv_2d,
    "MAX_POOL_2D": _pool,
    "AVERAGE_POOL_2D": _pool,
    "ADD": _sum,
}

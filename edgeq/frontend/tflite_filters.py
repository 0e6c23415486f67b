"""Readers of the operators with weights, whose integers are the file's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.grouped import Sliding, repeated
from edgeq.frontend.tflite_batches import together
from edgeq.frontend.tflite_file import Operator, Tensor
from edgeq.frontend.tflite_graph import (
    NOTHING,
    Array,
    GivenMap,
    Growing,
    Padding,
    Pair,
    quant_of_tensor,
)
from edgeq.frontend.tflite_shapes import Reader, batched
from edgeq.frontend.transposed import stuffed
from edgeq.ir import Quant, TensorType
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fixed_point import quantize_multipliers
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.op import WEIGHT_RANGE
from edgeq.ops.reshape import Reshape
from edgeq.ops.window import spanned

ACTIVATIONS = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6", 4: "tanh", 5: "sign_bit"}
TAKEN = ("none", "relu", "relu6")


def _fully_connected(g: Growing, op: Operator) -> None:
    weight = g.operand(op, 1)
    if op.option(1, "b"):
        raise Refused("its weights are shuffled")
    if len(weight.shape) != 2:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    outputs, inputs = weight.shape
    rows, rest = divmod(g.operand(op, 0).size, inputs)
    if rest:
        raise Refused(f"it takes {list(g.operand(op, 0).shape)} by weights {list(weight.shape)}")
    codes, fmt = _codes(g, weight)
    real = _per_channel(g, op, weight)
    if len(weight.scale) == 1:  # TensorFlow Lite multiplies this pair in float32
        product = np.float32(g.scale(op, 0)) * np.asarray(weight.scale, np.float32)
        real = product.astype(np.float64) / quant_of_tensor(g.output(op)).per_tensor
    if rows > 1:  # a pixel each: the same sums
        params = _weighted(g, op, codes.reshape(outputs, 1, 1, inputs), weight, real, 0)
        source = g.reshaped(op, g.value(op, 0), (1, rows, inputs))
        attrs = Conv2D((1, 1), NOTHING, fmt, activation_of(op, 0))
        return g.add(op, "Conv2D", attrs, (source,), params)
    params = _weighted(g, op, codes, weight, real, 0)
    source = g.reshaped(op, g.value(op, 0), (inputs,))
    return g.add(op, "FullyConnected", FullyConnected(fmt, activation_of(op, 0)), (source,), params)


def _conv_2d(g: Growing, op: Operator) -> None:
    weight = g.operand(op, 1)
    if len(weight.shape) != 4:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    source, given = g.padded_map(op)
    groups, rest = divmod(given.channels, weight.shape[3])
    if rest or not groups or weight.shape[0] % groups:
        raise Refused(f"weights {list(weight.shape)} on {given.channels} channels")
    codes, fmt = _codes(g, weight)
    end, window = _slides(g, op, given, codes.shape[1:3], dilation_of(op, 4))
    attrs = Conv2D(
        window.stride, window.padding, fmt, activation_of(op, 3), window.dilation, groups
    )
    params = _weighted(g, op, codes, weight, _per_channel(g, op, weight), 0)
    return g.add(end, "Conv2D", attrs, (source,), params)


def _depthwise_conv_2d(g: Growing, op: Operator) -> None:
    weight = g.operand(op, 1)
    if len(weight.shape) != 4 or weight.shape[0] != 1:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    source, given = g.padded_map(op)
    codes, fmt = _codes(g, weight)
    end, window = _slides(g, op, given, codes.shape[1:3], dilation_of(op, 5))
    real, activation = _per_channel(g, op, weight), activation_of(op, 4)
    times, rest = divmod(codes.shape[3], given.channels)
    if rest or not times:
        raise Refused(f"weights {list(weight.shape)} on {given.channels} channels")
    if given.channels == 1 and times > 1:
        # on one channel the products are those of a convolution with as many outputs
        params = _weighted(g, op, codes.transpose(3, 1, 2, 0), weight, real, 0)
        attrs = Conv2D(window.stride, window.padding, fmt, activation, window.dilation)
        return g.add(end, "Conv2D", attrs, (source,), params)
    params = _weighted(g, op, codes[0], weight, real, 2)
    source = repeated(_Before(g, op), source, times)
    depthwise = DepthwiseConv2D(window.stride, window.padding, fmt, activation, window.dilation)
    return g.add(end, "DepthwiseConv2D", depthwise, (source,), params)


def _slides(
    g: Growing, op: Operator, given: GivenMap, kernel: Sequence[int], dilation: Pair
) -> tuple[Operator, Sliding]:
    """The operator whose output the convolution makes, and how its window slides."""
    stride, padding = window_of(op, spanned(kernel, dilation), given.size)
    if given.blocks == (1, 1):
        return op, Sliding(stride, given.with_padding(padding), dilation)
    if (*stride, *dilation) != (1, 1, 1, 1) or not op.option(0, "b"):
        raise Refused("on a SPACE_TO_BATCH_ND it has strides, dilation or padding of its own")
    end, padding = together(g, op, given)
    return end, Sliding(stride, padding, given.blocks)


@dataclass
class _Before:
    """Nodes in front of an operator's own, as `stuffed` and `repeated` make them."""

    g: Growing
    op: Operator
    made: int = 0

    def shape_of(self, name: str) -> tuple[int, ...]:
        return self.g.tensors[name].shape

    def reshaped(self, name: str, shape: Sequence[int]) -> str:
        return self.add("Reshape", Reshape(tuple(shape)), (name,))

    def add(self, op: str, attrs: object, sources: Sequence[str]) -> str:
        self.made += 1
        return self.g.between(self.op, op, attrs, sources[0], f"{op.lower()}_{self.made}")


def _transpose_conv(g: Growing, op: Operator) -> None:
    """Its first input is the output's shape, its weights are (outputs, height, width, inputs)."""
    weight, given = g.operand(op, 1), batched(g.operand(op, 2))
    if len(weight.shape) != 4 or len(given) != 3 or weight.shape[3] != given[2]:
        raise Refused(f"weights {list(weight.shape)} on {list(g.operand(op, 2).shape)}")
    made, codes = batched(g.output(op)), _codes(g, weight)
    stride = int(op.option(2, "i")), int(op.option(1, "i"))
    if min(stride) < 1 or max(stride) > 4096:
        raise Refused(f"it has stride {stride}")
    kernel = weight.shape[1:3]
    pads, more = [], []
    for n, m, k, by in zip(given, made, kernel, stride, strict=False):
        same = 0 if op.option(0, "b") else max((-(-m // by) - 1) * by + k - m, 0)
        pads.append((same // 2, same - same // 2))
        more.append(m - ((n - 1) * by + k - same))
    ends = (pads[0][0], pads[1][0], pads[0][1], pads[1][1])
    name, padding = stuffed(
        _Before(g, op), g.value(op, 2), kernel, stride, ends, (more[0], more[1])
    )
    turned = np.ascontiguousarray(codes[0][:, ::-1, ::-1])
    params = _weighted(g, op, turned, weight, _per_channel(g, op, weight, 2), 0, bias=3)
    attrs = Conv2D((1, 1), padding, codes[1], activation_of(op, 3))
    g.add(op, "Conv2D", attrs, (name,), params)


def _codes(g: Growing, weight: Tensor) -> tuple[Array, str]:
    """(codes int8, weight format): int4 codes of -8 travel as int8."""
    if weight.dtype not in ("int8", "int4"):
        raise Refused(f"its weights are {weight.dtype}")
    if any(weight.zero_point):
        raise Refused("its weights have a zero point that is not 0")
    codes = g.constant(weight)
    narrow = weight.dtype == "int4" and codes.min() >= WEIGHT_RANGE["s4"][0]
    return np.ascontiguousarray(codes), "s4" if narrow else "s8"


def _per_channel(g: Growing, op: Operator, weight: Tensor, given: int = 0) -> Array:
    """Scale of the sums in output steps, multiplied in float64 as convolutions do; `given`: the
    place of its input.
    """
    scale = np.float64(g.scale(op, given)) * np.asarray(weight.scale, np.float64)
    return np.asarray(scale / quant_of_tensor(g.output(op)).per_tensor)


def _weighted(
    g: Growing,
    op: Operator,
    codes: Array,
    weight: Tensor,
    real: Array,
    axis: int,
    bias: int = 2,
) -> Mapping[str, str]:
    """The constants of a layer with weights; `axis` of the codes counts outputs. `bias`: the place
    of that input.
    """
    outputs = codes.shape[axis]
    if len(weight.scale) not in (1, outputs):
        raise Refused(f"it has {len(weight.scale)} weight scales for {outputs} outputs")
    added = np.zeros(outputs, np.int32)
    if len(op.inputs) > bias and op.inputs[bias] >= 0:
        tensor = g.operand(op, bias)
        if tensor.dtype != "int32" or tensor.size != outputs:
            raise Refused(f"its bias is {tensor.dtype}{list(tensor.shape)}")
        added = g.constant(tensor).reshape(outputs).astype(np.int32)
    multiplier, shift = quantize_multipliers(np.broadcast_to(real, (outputs,)))
    values = {"weight": codes, "bias": added, "multiplier": multiplier, "shift": shift}
    types = {"weight": TensorType(codes.shape, "int8", Quant(weight.scale, 0, axis))}
    return g.constants(op, values, types)


def dilation_of(op: Operator, place: int) -> Pair:
    """(down, across); its height is the option behind its width."""
    dilation = int(op.option(place + 1, "i", 1)), int(op.option(place, "i", 1))
    if min(dilation) < 1 or max(dilation) > 4096:
        raise Refused(f"it has dilation {dilation}")
    return dilation


def window_of(
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


def activation_of(op: Operator, place: int) -> str:
    code = op.option(place, "b")
    name = ACTIVATIONS.get(code, str(code))
    if name not in TAKEN:
        raise Refused(f"it has fused activation {name}")
    return name


FILTER_READERS: Mapping[str, Reader] = {
    "FULLY_CONNECTED": _fully_connected,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "TRANSPOSE_CONV": _transpose_conv,
}

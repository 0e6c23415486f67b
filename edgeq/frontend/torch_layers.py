"""PyTorch's operators with weights and windows as ops of a graph. ATEN_LAYERS is the table.

A reader gets the arguments by the names of ATen's schema: activations as Placed, constants as
tensors. It raises Refused for what edgeq has no op for.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgeq.frontend.findings import Refused
from edgeq.frontend.grouped import Sliding
from edgeq.frontend.placed import LINE, MAP, Placed, Placing
from edgeq.frontend.torch_groups import convolved, layer, spread_apart
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.batch_norm import BatchNorm
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.layer_norm import LayerNorm
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mean_pool_2d import MeanPool2D
from edgeq.ops.op import Array
from edgeq.ops.window import spanned

Arguments = Mapping[str, Any]
Reader = Callable[[Placing, str, Arguments], "Placed | list[Placed]"]
"""(graph that grows, the node's name, arguments) -> its output, or its outputs."""


def numbers(value: object, count: int) -> tuple[int, ...]:
    """An int list of ATen, where one number stands for all."""
    listed = [value] if isinstance(value, int) else list(value)  # type: ignore[call-overload]
    return tuple(int(n) for n in (listed * count if len(listed) == 1 else listed))


def array(value: Tensor) -> Array:
    return np.ascontiguousarray(value.detach().cpu().numpy(), dtype=np.float32)


def activation(value: object) -> Placed:
    """Raises Refused where a constant stands in an activation's place."""
    if not isinstance(value, Placed):
        raise Refused("its input is a constant")
    return value


def constant(value: object, what: str) -> Array:
    """Raises Refused where an activation, or nothing, stands in a constant's place."""
    if not isinstance(value, Tensor):
        raise Refused(f"its {what} is computed, not a constant")
    return array(value)


def _plane(x: Placed, value: object, fill: int) -> tuple[int, int]:
    """Of a window: (height, width), of a line (fill, width)."""
    if x.rank == 3:
        height, width = numbers(value, 2)
        return height, width
    return fill, numbers(value, 1)[0]


def out_of(x: Placed, cursor: Cursor) -> Placed:
    """A map that was made of `x`, in its logical shape."""
    height, width, channels = cursor.shape
    if x.rank == 3:
        return Placed(cursor.name, (channels, height, width), MAP)
    return Placed(cursor.name, (channels, width), LINE)


def _convolution(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["input"])
    if a.get("transposed"):
        return _transposed(b, name, a)
    weight = constant(a["weight"], "weight")
    if x.rank == 2:
        weight = weight[:, :, None]
    given = b.as_map(x, name)
    stride, dilation = _plane(x, a["stride"], 1), _plane(x, a["dilation"], 1)
    padding = _padding(x, a["padding"], spanned(weight.shape[2:], dilation), stride)
    bias = np.zeros(len(weight), np.float32) if a["bias"] is None else constant(a["bias"], "bias")
    slides = Sliding(stride, padding, dilation)
    made = convolved(b, name, given, weight, bias, slides, int(a["groups"]))
    return out_of(x, made)


def _transposed(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["input"])
    weight, groups = constant(a["weight"], "weight"), int(a["groups"])
    if x.rank == 2:
        weight = weight[:, :, None]
    given, outputs = b.as_map(x, name), weight.shape[1] * groups
    high, wide = _plane(x, a["padding"], 0)
    stride, dilation = _plane(x, a["stride"], 1), _plane(x, a["dilation"], 1)
    slides = Sliding(stride, (high, wide, high, wide), dilation)
    bias = np.zeros(outputs, np.float32) if a["bias"] is None else constant(a["bias"], "bias")
    more = _plane(x, a["output_padding"], 0)
    return out_of(x, spread_apart(b, name, given, weight, bias, slides, more, groups))


def _padding(
    x: Placed, value: object, kernel: Sequence[int], stride: tuple[int, int]
) -> tuple[int, int, int, int]:
    """(top, left, bottom, right); "same" puts the odd cell at the end."""
    if isinstance(value, str):
        if value == "valid":
            return (0, 0, 0, 0)
        if value != "same" or stride != (1, 1):
            raise Refused(f"padding {value!r} at stride {stride}")
        high, wide = (n - 1 for n in kernel)
        return high // 2, wide // 2, high - high // 2, wide - wide // 2
    high, wide = _plane(x, value, 0)
    return high, wide, high, wide


def _linear(b: Placing, name: str, a: Arguments) -> Placed:
    x, weight = activation(a["input"]), constant(a["weight"], "weight")
    bias = a.get("bias")
    offset = np.zeros(len(weight), np.float32) if bias is None else constant(bias, "bias")
    if x.rank > 1:
        return _linear_rows(b, name, x, weight, offset)
    order = x.order
    given = Cursor(x.name, x.shape) if order is not None else b.arranged(x, (0,), name)
    placed = weight if order is None else np.ascontiguousarray(weight[:, order])
    params = layer(b, name, placed, offset)
    made = b.add("FullyConnected", name, FullyConnected(), (given,), params)
    return Placed(made.name, made.shape, (0,))


def _linear_rows(b: Placing, name: str, x: Placed, weight: Array, bias: Array) -> Placed:
    """Rows of features are a map: a 1x1 convolution."""
    axes, given = b.rows_axes(x), b.as_rows(x, name)
    params = layer(b, name, weight[:, None, None, :], bias)
    made = b.add("Conv2D", name, Conv2D(), (given,), params)
    return Placed(made.name, (*x.shape[:-1], len(weight)), axes)


def _addmm(b: Placing, name: str, a: Arguments) -> Placed:
    weight = constant(a["mat2"], "second matrix")
    if (a["alpha"], a["beta"]) != (1, 1):
        raise Refused("a matrix product with factors")
    given = {"input": a["mat1"], "weight": torch.from_numpy(weight.T.copy()), "bias": a["self"]}
    return _linear(b, name, given)


def by_constant(b: Placing, name: str, x: Placed, second: object) -> Placed:
    """Rows by a constant matrix."""
    weight = constant(second, "second matrix")
    if weight.ndim != 2:
        raise Refused(f"a product with a constant of shape {weight.shape}")
    return _linear(b, name, {"input": x, "weight": torch.from_numpy(weight.T.copy())})


def batch_norm(b: Placing, name: str, a: Arguments) -> Placed:
    if a["training"]:
        raise Refused("it normalises by the batch, as in training; call module.eval()")
    mean, variance = constant(a["running_mean"], "mean"), constant(a["running_var"], "variance")
    gain = 1 / np.sqrt(variance.astype(np.float64) + a["eps"])
    if a["weight"] is not None:
        gain = gain * constant(a["weight"], "weight")
    offset = -mean * gain
    if a["bias"] is not None:
        offset = offset + constant(a["bias"], "bias")
    return affine(b, name, activation(a["input"]), gain, offset)


def affine(b: Placing, name: str, x: Placed, gain: Array, offset: Array) -> Placed:
    """gain * x + offset along the channels, which is the first logical axis."""
    if x.order is not None:
        gain, offset = (np.broadcast_to(v, x.shape)[x.order] for v in (gain, offset))
    elif x.rank > 1 and x.axes[-1] != 0 and max(gain.size, offset.size) > 1:
        given = b.as_map(x, name)
        x = Placed(given.name, x.shape, MAP if x.rank == 3 else LINE)
    channels = x.memory[-1]
    params = {
        role: b.constant(f"{name}.{role}", np.broadcast_to(v, (channels,)).astype(np.float32))
        for role, v in (("gain", gain), ("offset", offset))
    }
    made = b.add("BatchNorm", name, BatchNorm(), (Cursor(x.name, x.memory),), params)
    return Placed(made.name, x.shape, x.axes, x.order)


def last_axis_rows(b: Placing, name: str, x: Placed, features: tuple[int, ...]) -> Placed:
    """`x` with its rows in front of the last axis, which is what a norm is over."""
    if features != x.shape[-1:]:
        raise Refused(f"it normalises axes {features} of {x.shape}, not the last one alone")
    if x.rank > 1:
        given = b.as_rows(x, name)
        x = Placed(given.name, x.shape, b.rows_axes(x))
    return x


def _layer_norm(b: Placing, name: str, a: Arguments) -> Placed:
    features = numbers(a["normalized_shape"], 1)
    x = last_axis_rows(b, name, activation(a["input"]), features)
    order = slice(None) if x.order is None else x.order
    ones, zeros = np.ones(features, np.float32), np.zeros(features, np.float32)
    gamma = ones if a["weight"] is None else constant(a["weight"], "weight")
    beta = zeros if a["bias"] is None else constant(a["bias"], "bias")
    params = {
        "gamma": b.constant(f"{name}.gamma", np.ascontiguousarray(gamma[order])),
        "beta": b.constant(f"{name}.beta", np.ascontiguousarray(beta[order])),
    }
    made = b.add("LayerNorm", name, LayerNorm(a["eps"]), (Cursor(x.name, x.memory),), params)
    return Placed(made.name, x.shape, x.axes, x.order)


def _window(x: Placed, a: Arguments) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(kernel, stride, padding) of a pool."""
    kernel = _plane(x, a["kernel_size"], 1)
    stride = _plane(x, a["stride"], 1) if a["stride"] else kernel
    return kernel, stride, _plane(x, a["padding"], 0)


def _ends(
    size: Sequence[int], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[int, int]:
    """The padding behind each axis with which ceil mode's last window is a whole one."""
    found = []
    for n, k, s, p in zip(size[:2], kernel, stride, padding, strict=True):
        count = -(-(n + 2 * p - k) // s) + 1
        if (count - 1) * s >= n + p:  # it would start behind the map
            count -= 1
        found.append(max((count - 1) * s + k - n - p, 0))
    return found[0], found[1]


def _max_pool(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    if set(numbers(a["dilation"], 1)) != {1}:
        raise Refused(f"a pool with dilation {a['dilation']}")
    given = b.as_map(x, name)
    kernel, stride, padding = _window(x, a)
    ends = _ends(given.shape, kernel, stride, padding) if a["ceil_mode"] else padding
    made = b.add("MaxPool2D", name, MaxPool2D(kernel, stride, (*padding, *ends)), (given,))
    return out_of(x, made)


def _avg_pool(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    given = b.as_map(x, name)
    kernel, stride, padding = _window(x, a)
    if a.get("divisor_override"):
        raise Refused("a pool with a divisor of its own")
    ends = _ends(given.shape, kernel, stride, padding) if a["ceil_mode"] else padding
    if not any((*padding, *ends)):
        return out_of(x, b.add("AveragePool2D", name, AveragePool2D(kernel, stride), (given,)))
    if not a["count_include_pad"]:
        attrs = MeanPool2D(kernel, stride, (*padding, *ends))
        return out_of(x, b.add("MeanPool2D", name, attrs, (given,)))
    if ends != padding:
        raise Refused("ceil mode beside padding that counts")
    # every cell counts: a depthwise convolution by 1 / cells
    weight = np.full((*kernel, given.shape[2]), 1 / np.prod(kernel), np.float32)
    params = layer(b, name, weight, np.zeros(given.shape[2], np.float32))
    conv = DepthwiseConv2D(stride, (*padding, *padding))
    return out_of(x, b.add("DepthwiseConv2D", name, conv, (given,), params))


def _adaptive_pool(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    given = b.as_map(x, name)
    wanted = [n or s for n, s in zip(_plane(x, a["output_size"], 1), given.shape[:2], strict=True)]
    if any(n % w for n, w in zip(given.shape, wanted, strict=False)):
        raise Refused(f"it pools {given.shape[:2]} to {tuple(wanted)}, which does not divide it")
    kernel = (given.shape[0] // wanted[0], given.shape[1] // wanted[1])
    return out_of(x, b.add("AveragePool2D", name, AveragePool2D(kernel, kernel), (given,)))


ATEN_LAYERS: Mapping[str, Reader] = {
    **dict.fromkeys(("conv1d", "conv2d", "convolution"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d"), _transposed),
    "linear": _linear,
    "addmm": _addmm,
    "batch_norm": batch_norm,
    "layer_norm": _layer_norm,
    **dict.fromkeys(("max_pool1d", "max_pool2d"), _max_pool),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d"), _avg_pool),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d"), _adaptive_pool),
}

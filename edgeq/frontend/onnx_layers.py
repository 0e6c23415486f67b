"""Readers of ONNX operators with weights, windows and statistics."""

import math
from collections.abc import Sequence

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import UNIT, Array, Value
from edgeq.frontend.onnx_file import Operator
from edgeq.frontend.onnx_graph import Reader, Reading, axis_of
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.batch_norm import BatchNorm
from edgeq.ops.concat import Concat
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.copies import Pad, Slice
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.fully_connected import FullyConnected
from edgeq.ops.functions import Affine, Neg
from edgeq.ops.layer_norm import LayerNorm
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mean_pool_2d import MeanPool2D
from edgeq.ops.softmax import Softmax

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]
MOST_WINDOW = 4096


def _two(values: Sequence[int], first: int) -> Pair:
    """One number a dimension as (down, across)."""
    found = [int(v) for v in values]
    if not all(0 <= n <= MOST_WINDOW for n in found) or len(found) not in (1, 2):
        raise Refused(f"it has window sizes {found[:4]}")
    return (first, found[0]) if len(found) == 1 else (found[0], found[1])


def _window(op: Operator, kernel: Pair, size: Pair, spatial: int) -> tuple[Pair, Padding, Pair]:
    """(stride, padding, dilation); SAME_LOWER puts the odd cell in front."""
    stride = _two(op.ints("strides", (1,) * spatial), 1)
    dilation = _two(op.ints("dilations", (1,) * spatial), 1)
    if min(*stride, *dilation) < 1:
        raise Refused(f"it has strides {stride}, dilations {dilation}")
    auto = op.get("auto_pad", "NOTSET")
    if auto == "NOTSET":
        pads = op.ints("pads", (0,) * (2 * spatial))
        if len(pads) != 2 * spatial or not all(0 <= n <= MOST_WINDOW for n in pads):
            raise Refused(f"it has pads {pads[:8]}")
        top, left = _two(pads[:spatial], 0)
        bottom, right = _two(pads[spatial:], 0)
        return stride, (top, left, bottom, right), dilation
    if auto == "VALID":
        return stride, (0, 0, 0, 0), dilation
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        raise Refused(f"it has auto_pad {auto[:20]!r}")
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    total = [
        max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in zip(size, stride, reach, strict=True)
    ]
    before = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in total]
    padding = (before[0], before[1], total[0] - before[0], total[1] - before[1])
    return stride, padding, dilation


def dilated(weight: Array, dilation: Pair) -> Array:
    """(M, kh, kw, C) with zeros between its taps: what a dilated window skips adds nothing."""
    outputs, height, width, depth = weight.shape
    shape = ((height - 1) * dilation[0] + 1, (width - 1) * dilation[1] + 1)
    if max(shape) > MOST_WINDOW:
        raise Refused(f"it has a window of {shape}")
    wide = np.zeros((outputs, *shape, depth), weight.dtype)
    wide[:, :: dilation[0], :: dilation[1]] = weight
    return wide


def _conv(g: Reading, op: Operator) -> None:
    name, value = g.map(op)
    weight, spatial = g.real(op, 1), len(value.shape) - 2
    if weight.ndim != spatial + 2:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    if op.ints("kernel_shape", weight.shape[2:]) != weight.shape[2:]:
        raise Refused(f"its kernel_shape is not that of its weights, {list(weight.shape)}")
    if spatial == 1:
        weight = weight[:, :, None]
    bias = g.real(op, 2) if g.has(op, 2) else np.zeros(len(weight), np.float32)
    height, width, channels = g.shape_of(name)
    kernel = (weight.shape[2], weight.shape[3])
    stride, padding, dilation = _window(op, kernel, (height, width), spatial)
    groups = int(op.get("group", 1))
    if groups < 1 or weight.shape[1] * groups != channels or len(weight) % groups:
        raise Refused(f"{groups} groups of weights {list(weight.shape)} on {channels} channels")
    if bias.shape != (len(weight),):
        raise Refused(f"its bias has shape {list(bias.shape)}")
    weight = dilated(weight.transpose(0, 2, 3, 1), dilation)
    made = _convolved(g, name, weight, bias, (stride, padding), groups)
    g.give_map(op, made, len(value.shape))


def _conv_transpose(g: Reading, op: Operator) -> None:
    """A convolution of the map with zeros between its cells, weights turned around."""
    name, value = g.map(op)
    weight, spatial = g.real(op, 1), len(value.shape) - 2
    if weight.ndim != spatial + 2 or "output_shape" in op.attributes:
        raise Refused(f"its weights have shape {list(weight.shape)}, or it says its output's")
    if op.ints("kernel_shape", weight.shape[2:]) != weight.shape[2:]:
        raise Refused(f"its kernel_shape is not that of its weights, {list(weight.shape)}")
    if op.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise Refused("it has auto_pad; say its pads")
    weight = weight[:, :, None] if spatial == 1 else weight
    height, width, channels = g.shape_of(name)
    groups, outputs = int(op.get("group", 1)), weight.shape[1]
    stride, pads, dilation = _window(op, (1, 1), (height, width), spatial)
    more = _two(op.ints("output_padding", (0,) * spatial), 0)
    if groups < 1 or channels % groups or len(weight) != channels:
        raise Refused(f"{groups} groups of weights {list(weight.shape)} on {channels} channels")
    bias = g.real(op, 2) if g.has(op, 2) else np.zeros(outputs * groups, np.float32)
    if bias.shape != (outputs * groups,):
        raise Refused(f"its bias has shape {list(bias.shape)}")
    parts = weight.reshape(groups, channels // groups, *weight.shape[1:])[..., ::-1, ::-1]
    turned = parts.transpose(0, 2, 3, 4, 1).reshape(groups * outputs, *weight.shape[2:], -1)
    turned = dilated(np.ascontiguousarray(turned), dilation)
    name, padding = _stuffed(g, name, turned.shape[1:3], stride, pads, more)
    made = _convolved(g, name, turned, bias, ((1, 1), padding), groups)
    g.give_map(op, made, len(value.shape))


def _stuffed(
    g: Reading, name: str, kernel: tuple[int, ...], stride: Pair, pads: Padding, more: Pair
) -> tuple[str, Padding]:
    """The map with stride - 1 zeros behind each cell, cut where padding would be negative; and the
    padding that a window over it has.
    """
    height, width, channels = g.shape_of(name)
    if stride != (1, 1):
        name = g.reshaped(name, (height, 1, width, 1, channels))
        pad = Pad((0,) * 5, (0, stride[0] - 1, 0, stride[1] - 1, 0))
        name = g.reshaped(
            g.add("Pad", pad, (name,)), (height * stride[0], width * stride[1], channels)
        )
    size, sizes = g.shape_of(name), (height, width)
    before = [kernel[i] - 1 - pads[i] for i in (0, 1)]
    made = [
        (sizes[i] - 1) * stride[i] + kernel[i] + more[i] - pads[i] - pads[i + 2] for i in (0, 1)
    ]
    after = [made[i] - size[i] - before[i] + kernel[i] - 1 for i in (0, 1)]
    start = [max(-n, 0) for n in before]
    kept = [size[i] - start[i] - max(-after[i], 0) for i in (0, 1)]
    if kept != list(size[:2]):
        attrs = Slice((*start, 0), (kept[0], kept[1], channels), (1, 1, 1))
        name = g.add("Slice", attrs, (name,))
    return name, (max(before[0], 0), max(before[1], 0), max(after[0], 0), max(after[1], 0))


def _convolved(
    g: Reading, name: str, weight: Array, bias: Array, window: tuple[Pair, Padding], groups: int
) -> str:
    """Groups of one channel are depthwise; others are convolutions of slices, joined."""
    stride, padding = window
    if groups == 1:
        constants = {"weight": np.ascontiguousarray(weight), "bias": bias}
        return g.add("Conv2D", Conv2D(stride, padding), (name,), constants)
    if groups == len(weight) and weight.shape[3] == 1:
        depthwise = np.ascontiguousarray(weight[..., 0].transpose(1, 2, 0))
        constants = {"weight": depthwise, "bias": bias}
        return g.add("DepthwiseConv2D", DepthwiseConv2D(stride, padding), (name,), constants)
    height, width, _ = g.shape_of(name)
    depth, outputs, parts = weight.shape[3], len(weight) // groups, []
    if groups > 64:
        raise Refused(f"{groups} groups of {depth} channels; 64 are taken, or one channel each")
    for i in range(groups):
        attrs = Slice((0, 0, i * depth), (height, width, depth), (1, 1, 1))
        part = g.add("Slice", attrs, (name,))
        rows = slice(i * outputs, (i + 1) * outputs)
        constants = {"weight": np.ascontiguousarray(weight[rows]), "bias": bias[rows]}
        parts.append(g.add("Conv2D", Conv2D(stride, padding), (part,), constants))
    return g.add("Concat", Concat(2), parts)


def dense(g: Reading, op: Operator, value: Value, weight: Array, bias: Array) -> None:
    """Rows times weight (out, in), over the last axis of any shape."""
    rank, outputs = len(value.shape), len(weight)
    if value.shape[-1] != weight.shape[1] or bias.shape != (outputs,):
        raise Refused(f"weights {list(weight.shape)} on {list(value.shape)}")
    shape = (*value.shape[:-1], outputs)
    rows = math.prod(value.shape[:-1])
    if rows == 1:
        if value.flat is not None:
            name, weight = value.name, weight[:, value.index]
        else:
            name = g.ordered(value, (rank - 1,))
        constants = {"weight": np.ascontiguousarray(weight), "bias": bias}
        made = g.add("FullyConnected", FullyConnected(), (name,), constants)
        return g.give(op, made, shape, (rank - 1,))
    name = g.ordered(value, range(rank))
    name = g.reshaped(name, (1, rows, weight.shape[1]))
    constants = {"weight": np.ascontiguousarray(weight[:, None, None]), "bias": bias}
    made = g.add("Conv2D", Conv2D((1, 1), (0, 0, 0, 0)), (name,), constants)
    kept = tuple(i for i in range(rank) if i == rank - 1 or shape[i] > 1)
    return g.give(op, g.reshaped(made, [shape[i] for i in kept]), shape, kept)


def _gemm(g: Reading, op: Operator) -> None:
    value, weight = g.value(op), g.real(op, 1)
    if weight.ndim != 2 or len(value.shape) != 2:
        raise Refused("it multiplies no matrices")
    if op.get("transA", 0):
        value = value if value.flat is None else g.unflattened(value)
        axes = tuple(a if a == UNIT else 1 - a for a in value.axes)
        value = Value(value.name, value.shape[::-1], axes)
    alpha, beta = float(op.get("alpha", 1.0)), float(op.get("beta", 1.0))
    weight = (weight if op.get("transB", 0) else weight.T) * np.float32(alpha)
    bias = g.real(op, 2) * np.float32(beta) if g.has(op, 2) else np.zeros(1, np.float32)
    if bias.size not in (1, len(weight)):
        raise Refused(f"its bias has shape {list(bias.shape)}")
    bias = np.broadcast_to(bias.reshape(-1), (len(weight),))
    dense(g, op, value, weight, np.ascontiguousarray(bias, np.float32))


def _matmul(g: Reading, op: Operator) -> None:
    if g.is_constant(op, 0) or not g.is_constant(op, 1):
        raise Refused("it multiplies two activations, or a constant by one")
    value, weight = g.value(op), g.real(op, 1)
    if weight.ndim != 2:
        raise Refused(f"its constant has shape {list(weight.shape)}")
    dense(g, op, value, weight.T, np.zeros(weight.shape[1], np.float32))


def _batch_norm(g: Reading, op: Operator) -> None:
    value = g.value(op)
    scale, offset, mean, variance = (g.real(op, i) for i in (1, 2, 3, 4))
    if op.get("training_mode", 0) or scale.shape != (value.shape[1],):
        raise Refused("it is in training mode, or does not count the channels")
    epsilon = float(op.get("epsilon", 1e-5))
    if (variance + epsilon <= 0).any():
        raise Refused("its variance is not positive")
    gain = (scale / np.sqrt(variance + np.float32(epsilon))).astype(np.float32)
    channel_affine(g, op, value, 1, gain, offset - mean * gain)


def channel_affine(
    g: Reading, op: Operator, value: Value, axis: int, gain: Array, offset: Array
) -> None:
    """x * gain + offset along an axis of the file's, which becomes the last of the tensor."""
    if value.flat is not None:
        index = value.index
        name, axes = value.name, value.axes
        gain, offset = gain[index], offset[index]
    else:
        held = [a for a in value.axes if a != UNIT]
        others = [a for a in held if a != axis]
        name = g.ordered(value, (*others, axis)) if held[-1:] != [axis] else value.name
        axes = (*others, axis) if name != value.name else value.axes
    constants = {"gain": gain.astype(np.float32), "offset": offset.astype(np.float32)}
    made = g.add("BatchNorm", BatchNorm(), (name,), constants)
    g.give(op, made, value.shape, axes, flat=value.flat)


def _layer_norm(g: Reading, op: Operator) -> None:
    value = g.value(op)
    rank = len(value.shape)
    if axis_of(int(op.get("axis", -1)), rank) != rank - 1 or len(op.outputs) > 1:
        raise Refused("it normalises more than the last axis, or gives its statistics")
    features = value.shape[-1]
    gamma = g.real(op, 1)
    beta = g.real(op, 2) if g.has(op, 2) else np.zeros(features, np.float32)
    kept = tuple(i for i in range(rank) if i == rank - 1 or value.shape[i] > 1)
    constants = {"gamma": gamma.reshape(-1), "beta": beta.reshape(-1)}
    attrs = LayerNorm(float(op.get("epsilon", 1e-5)))
    made = g.add("LayerNorm", attrs, (g.ordered(value, kept),), constants)
    g.give(op, made, value.shape, kept)


def _softmax(g: Reading, op: Operator) -> None:
    """Over an axis that becomes the last."""
    value = g.value(op)
    axis = axis_of(int(op.get("axis", -1)), len(value.shape))
    if value.flat is not None:
        value = g.unflattened(value)
    others = [a for a in value.axes if a not in (UNIT, axis) and value.shape[a] > 1]
    made = g.add("Softmax", Softmax(), (g.ordered(value, (*others, axis)),))
    g.give(op, made, value.shape, (*others, axis))


def _pool(g: Reading, op: Operator) -> None:
    name, value = g.map(op)
    spatial = len(value.shape) - 2
    kernel = _two(op.ints("kernel_shape"), 1)
    height, width, _ = g.shape_of(name)
    stride, padding, dilation = _window(op, kernel, (height, width), spatial)
    if dilation != (1, 1) or len(op.outputs) > 1 or min(kernel) < 1:
        raise Refused("it has dilations or gives places")
    counted = op.get("count_include_pad", 0)
    if op.get("ceil_mode", 0):
        padding = _ceiled((height, width), kernel, stride, padding)
    if op.op == "MaxPool":
        made = g.add("MaxPool2D", MaxPool2D(kernel, stride, padding), (name,))
    elif not any(padding):
        made = g.add("AveragePool2D", AveragePool2D(kernel, stride), (name,))
    elif counted:
        if op.get("ceil_mode", 0):
            raise Refused("it counts padding in ceil mode")
        pad = Pad((padding[0], padding[1], 0), (padding[2], padding[3], 0))
        made = g.add("AveragePool2D", AveragePool2D(kernel, stride), (g.add("Pad", pad, (name,)),))
    else:
        made = g.add("MeanPool2D", MeanPool2D(kernel, stride, padding), (name,))
    g.give_map(op, made, len(value.shape))


def _ceiled(size: Pair, kernel: Pair, stride: Pair, padding: Padding) -> Padding:
    """More padding at the ends, so that the last window fits; none that lies in padding only."""
    found = list(padding)
    for i in (0, 1):
        reach = size[i] + padding[i] + padding[i + 2] - kernel[i]
        steps = -(-reach // stride[i])
        if steps * stride[i] >= size[i] + padding[i]:
            steps -= 1
        found[i + 2] = max(steps * stride[i] + kernel[i] - size[i] - padding[i], 0)
    return found[0], found[1], found[2], found[3]


def _global_pool(g: Reading, op: Operator) -> None:
    name, value = g.map(op)
    height, width, _ = g.shape_of(name)
    size, nothing = (height, width), (0, 0, 0, 0)
    if op.op == "GlobalMaxPool":
        made = g.add("MaxPool2D", MaxPool2D(size, (1, 1), nothing), (name,))
    else:
        made = g.add("AveragePool2D", AveragePool2D(size, (1, 1)), (name,))
    g.give_map(op, made, len(value.shape))


def _reduce(g: Reading, op: Operator) -> None:
    """A pool over one row: the reduced axes across, all others as channels."""
    value = g.value(op)
    rank = len(value.shape)
    given = op.ints("axes") if "axes" in op.attributes else ()
    if g.has(op, 1):
        given = tuple(g.whole(op, 1))
    if not given and op.get("noop_with_empty_axes", 0):
        return g.same(op, value)
    axes = {axis_of(a, rank) for a in given} or set(range(rank))
    if value.flat is not None:
        value = g.unflattened(value)
    keep = bool(op.get("keepdims", 1))
    held = [a for a in value.axes if a != UNIT and value.shape[a] > 1]
    inner, outer = [a for a in held if a in axes], [a for a in held if a not in axes]
    cells = math.prod(value.shape[a] for a in inner)
    name = g.ordered(value, (*inner, *outer))
    size = [value.shape[a] for a in outer]
    if inner:
        name = _pooled(g, op, g.reshaped(name, (1, cells, math.prod(size))), cells)
    name = g.reshaped(name, size or (1,))
    place = {a: i for i, a in enumerate(a for a in range(rank) if keep or a not in axes)}
    shape = [1 if a in axes else value.shape[a] for a in place]
    made = [place[a] for a in outer] or [UNIT]
    return g.give(op, name, shape, made)


def _pooled(g: Reading, op: Operator, name: str, cells: int) -> str:
    if op.op in ("ReduceMean", "ReduceSum"):
        made = g.add("AveragePool2D", AveragePool2D((1, cells), (1, 1)), (name,))
        return made if op.op == "ReduceMean" else g.add("Affine", Affine(float(cells)), (made,))
    largest = MaxPool2D((1, cells), (1, 1), (0, 0, 0, 0))
    if op.op == "ReduceMax":
        return g.add("MaxPool2D", largest, (name,))
    turned = g.add("Neg", Neg(), (name,))
    return g.add("Neg", Neg(), (g.add("MaxPool2D", largest, (turned,)),))


LAYER_READERS: dict[str, Reader] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Softmax": _softmax,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalMaxPool": _global_pool,
    "GlobalAveragePool": _global_pool,
    "ReduceMean": _reduce,
    "ReduceSum": _reduce,
    "ReduceMax": _reduce,
    "ReduceMin": _reduce,
}

"""Readers of ONNX convolutions, and how an ONNX window slides."""

from collections.abc import Sequence

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import Array
from edgeq.frontend.onnx_file import Operator
from edgeq.frontend.onnx_graph import Reader, Reading
from edgeq.ops.concat import Concat
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.copies import Expand, Pad, Slice
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]
MOST_WINDOW = 4096


def two(values: Sequence[int], first: int) -> Pair:
    """One number a dimension as (down, across)."""
    found = [int(v) for v in values]
    if not all(0 <= n <= MOST_WINDOW for n in found) or len(found) not in (1, 2):
        raise Refused(f"it has window sizes {found[:4]}")
    return (first, found[0]) if len(found) == 1 else (found[0], found[1])


def window(op: Operator, kernel: Pair, size: Pair, spatial: int) -> tuple[Pair, Padding, Pair]:
    """(stride, padding, dilation); SAME_LOWER puts the odd cell in front."""
    stride = two(op.ints("strides", (1,) * spatial), 1)
    dilation = two(op.ints("dilations", (1,) * spatial), 1)
    if min(*stride, *dilation) < 1:
        raise Refused(f"it has strides {stride}, dilations {dilation}")
    auto = op.get("auto_pad", "NOTSET")
    if auto == "NOTSET":
        pads = op.ints("pads", (0,) * (2 * spatial))
        if len(pads) != 2 * spatial or not all(0 <= n <= MOST_WINDOW for n in pads):
            raise Refused(f"it has pads {pads[:8]}")
        top, left = two(pads[:spatial], 0)
        bottom, right = two(pads[spatial:], 0)
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


def _filters(g: Reading, op: Operator, spatial: int) -> Array:
    """The weights (.., .., kh, kw), of one dimension with a height of 1."""
    weight = g.real(op, 1)
    if weight.ndim != spatial + 2:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    if op.ints("kernel_shape", weight.shape[2:]) != weight.shape[2:]:
        raise Refused(f"its kernel_shape is not that of its weights, {list(weight.shape)}")
    return weight[:, :, None] if spatial == 1 else weight


def _conv(g: Reading, op: Operator) -> None:
    name, value = g.map(op)
    spatial = len(value.shape) - 2
    weight = _filters(g, op, spatial)
    bias = g.real(op, 2) if g.has(op, 2) else np.zeros(len(weight), np.float32)
    height, width, channels = g.shape_of(name)
    kernel = (weight.shape[2], weight.shape[3])
    stride, padding, dilation = window(op, kernel, (height, width), spatial)
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
    spatial = len(value.shape) - 2
    weight = _filters(g, op, spatial)
    height, width, channels = g.shape_of(name)
    groups, outputs = int(op.get("group", 1)), weight.shape[1]
    stride, pads, dilation = window(op, (1, 1), (height, width), spatial)
    pads, more = _cut(op, (height, width), weight.shape[2:], (stride, dilation), pads)
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


def _cut(
    op: Operator, size: Pair, kernel: Sequence[int], steps: tuple[Pair, Pair], pads: Padding
) -> tuple[Padding, Pair]:
    """(what is cut off its ends, zeros behind them) of a transposed convolution, from the size of
    its output where the file says that.
    """
    more = two(op.ints("output_padding", (0, 0)), 0)
    auto = op.get("auto_pad", "NOTSET")
    if "output_shape" in op.attributes:
        wanted = two(op.ints("output_shape"), 1)
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = (size[0] * steps[0][0], size[1] * steps[0][1])
    else:
        return pads, more
    total = [
        s * (n - 1) + m + (k - 1) * d + 1 - w
        for s, n, m, k, d, w in zip(steps[0], size, more, kernel, steps[1], wanted, strict=True)
    ]
    more = (more[0] + max(-total[0], 0), more[1] + max(-total[1], 0))
    top, left = (
        max(t, 0) // 2 if auto == "SAME_UPPER" else max(t, 0) - max(t, 0) // 2 for t in total
    )
    return (top, left, max(total[0], 0) - top, max(total[1], 0) - left), more


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
    """Groups of one channel are depthwise, each channel repeated where it feeds several outputs;
    others are convolutions of slices, joined.
    """
    stride, padding = window
    if groups == 1:
        constants = {"weight": np.ascontiguousarray(weight), "bias": bias}
        return g.add("Conv2D", Conv2D(stride, padding), (name,), constants)
    if weight.shape[3] == 1:
        name = _repeated(g, name, len(weight) // groups)
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


def _repeated(g: Reading, name: str, times: int) -> str:
    """Each channel of a map `times` times, one after another."""
    if times == 1:
        return name
    height, width, channels = g.shape_of(name)
    apart = g.reshaped(name, (height, width, channels, 1))
    wide = g.add("Expand", Expand((height, width, channels, times)), (apart,))
    return g.reshaped(wide, (height, width, channels * times))


CONVOLUTION_READERS: dict[str, Reader] = {"Conv": _conv, "ConvTranspose": _conv_transpose}

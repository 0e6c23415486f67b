"""Readers of ONNX convolutions, and how an ONNX window slides."""

from collections.abc import Sequence

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import Array
from edgeq.frontend.grouped import Sliding, filters_of, repeated
from edgeq.frontend.onnx_file import Operator
from edgeq.frontend.onnx_graph import Reader, Reading
from edgeq.frontend.transposed import Padding, Pair, stuffed, turned
from edgeq.ops.window import spanned

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
    slides = Sliding(stride, padding, dilation)
    made = _convolved(g, name, weight.transpose(0, 2, 3, 1), bias, slides, groups)
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
    filters = turned(weight, groups)
    name, padding = stuffed(g, name, spanned(weight.shape[2:], dilation), stride, pads, more)
    made = _convolved(g, name, filters, bias, Sliding((1, 1), padding, dilation), groups)
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


def _convolved(
    g: Reading, name: str, weight: Array, bias: Array, window: Sliding, groups: int
) -> str:
    """Of weights (outputs, height, width, channels of a group)."""
    if max(spanned(weight.shape[1:3], window.dilation)) > MOST_WINDOW:
        raise Refused(f"it has a window of {spanned(weight.shape[1:3], window.dilation)}")
    made = filters_of(weight, window, groups)
    name = repeated(g, name, made.times)
    return g.add(made.op, made.attrs, (name,), {"weight": made.weight, "bias": bias})


CONVOLUTION_READERS: dict[str, Reader] = {"Conv": _conv, "ConvTranspose": _conv_transpose}

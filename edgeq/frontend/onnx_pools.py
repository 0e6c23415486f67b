"""Readers of ONNX pools and of statistics over any axes."""

import math
from collections.abc import Sequence

from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import UNIT
from edgeq.frontend.onnx_convolutions import two, window
from edgeq.frontend.onnx_file import Operator
from edgeq.frontend.onnx_graph import Reader, Reading, axis_of
from edgeq.frontend.transposed import Padding, Pair
from edgeq.ops.average_pool_2d import AveragePool2D
from edgeq.ops.concat import Concat
from edgeq.ops.copies import Pad, Slice
from edgeq.ops.functions import Affine, Neg
from edgeq.ops.max_pool_2d import MaxPool2D
from edgeq.ops.mean_pool_2d import MeanPool2D

MOST_TAPS = 64


def _pool(g: Reading, op: Operator) -> None:
    name, value = g.map(op)
    spatial = len(value.shape) - 2
    kernel = two(op.ints("kernel_shape"), 1)
    height, width, _ = g.shape_of(name)
    stride, padding, dilation = window(op, kernel, (height, width), spatial)
    if len(op.outputs) > 1 or min(kernel) < 1:
        raise Refused("it gives places, or has an empty window")
    counted, given = op.get("count_include_pad", 0), padding
    if op.get("ceil_mode", 0):
        reach = ((kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1)
        padding = _ceiled((height, width), reach, stride, padding)
    if dilation != (1, 1):
        made = _dilated(g, op, name, (kernel, stride, dilation), padding)
    elif op.op == "MaxPool":
        made = g.add("MaxPool2D", MaxPool2D(kernel, stride, padding), (name,))
    else:
        inside = tuple(map(min, given, padding)) if counted else (0, 0, 0, 0)
        made = _average(g, name, (kernel, stride), padding, inside)
    g.give_map(op, made, len(value.shape))


def _average(
    g: Reading, name: str, window: tuple[Pair, Pair], padding: Padding, counted: Sequence[int]
) -> str:
    """Of the cells inside of the map and of `counted` zeros around it."""
    if any(counted):
        pad = Pad((counted[0], counted[1], 0), (counted[2], counted[3], 0))
        name = g.add("Pad", pad, (name,))
    top, left, bottom, right = (n - c for n, c in zip(padding, counted, strict=True))
    if top or left or bottom or right:
        attrs = MeanPool2D(*window, (top, left, bottom, right))
        return g.add("MeanPool2D", attrs, (name,))
    return g.add("AveragePool2D", AveragePool2D(*window), (name,))


def _dilated(
    g: Reading, op: Operator, name: str, window: tuple[Pair, Pair, Pair], padding: Padding
) -> str:
    """The cells of each tap side by side, and a pool over the taps."""
    kernel, stride, dilation = window
    if any(padding) or math.prod(kernel) > MOST_TAPS:
        raise Refused(f"it has dilations and padding, or more than {MOST_TAPS} taps")
    height, width, channels = g.shape_of(name)
    reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    size = [(n - r - 1) // s + 1 for n, r, s in zip((height, width), reach, stride, strict=True)]
    if min(size) < 1:
        raise Refused(f"its window is larger than the map, {height} x {width}")
    parts = []
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            first = (y * dilation[0], x * dilation[1], 0)
            part = g.add("Slice", Slice(first, (*size, channels), (*stride, 1)), (name,))
            parts.append(g.reshaped(part, (1, math.prod(size) * channels)))
    taps = len(parts)
    name = g.reshaped(g.add("Concat", Concat(0), parts), (1, taps, math.prod(size) * channels))
    name = _over_rows(g, "ReduceMax" if op.op == "MaxPool" else "ReduceMean", name, taps)
    return g.reshaped(name, (*size, channels))


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
    keep, idle = bool(op.get("keepdims", 1)), op.get("noop_with_empty_axes", 0)
    if not given and idle:
        return g.same(op, value)
    axes = {axis_of(a, rank) for a in given} or set(range(rank))
    if value.flat is not None:
        value = g.unflattened(value)
    held = [a for a in value.axes if a != UNIT and value.shape[a] > 1]
    inner, outer = [a for a in held if a in axes], [a for a in held if a not in axes]
    cells = math.prod(value.shape[a] for a in inner)
    name = g.ordered(value, (*inner, *outer))
    size = [value.shape[a] for a in outer]
    if inner:
        name = _over_rows(g, op.op, g.reshaped(name, (1, cells, math.prod(size))), cells)
    name = g.reshaped(name, size or (1,))
    place = {a: i for i, a in enumerate(a for a in range(rank) if keep or a not in axes)}
    shape = [1 if a in axes else value.shape[a] for a in place]
    made = [place[a] for a in outer] or [UNIT]
    return g.give(op, name, shape, made)


def _over_rows(g: Reading, op: str, name: str, cells: int) -> str:
    """A statistic over the second of three axes."""
    if op in ("ReduceMean", "ReduceSum"):
        made = g.add("AveragePool2D", AveragePool2D((1, cells), (1, 1)), (name,))
        return made if op == "ReduceMean" else g.add("Affine", Affine(float(cells)), (made,))
    largest = MaxPool2D((1, cells), (1, 1), (0, 0, 0, 0))
    if op == "ReduceMax":
        return g.add("MaxPool2D", largest, (name,))
    turned = g.add("Neg", Neg(), (name,))
    return g.add("Neg", Neg(), (g.add("MaxPool2D", largest, (turned,)),))


POOL_READERS: dict[str, Reader] = {
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalMaxPool", "GlobalAveragePool"), _global_pool),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), _reduce),
}

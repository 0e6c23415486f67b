"""Readers of operators that broadcast, join and move cells. Axes of a file count the batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgeq.frontend.cells import continued
from edgeq.frontend.findings import Refused
from edgeq.frontend.tflite_file import Operator, Tensor
from edgeq.frontend.tflite_graph import BOTH, Array, Growing, quant_of_tensor, shape_of
from edgeq.ir import TensorType
from edgeq.ops.batch_matmul import BatchMatMul
from edgeq.ops.broadcast import (
    AddBroadcast,
    AddConstant,
    Maximum,
    Minimum,
    Mul,
    MulConstant,
    Sub,
)
from edgeq.ops.concat import Concat
from edgeq.ops.copies import (
    DepthToSpace,
    Expand,
    Pad,
    ResizeNearest,
    Slice,
    SpaceToDepth,
    Transpose,
)
from edgeq.ops.functions import Clip, Quantize
from edgeq.ops.gather import MOST_PLACES, Gather
from edgeq.ops.narrow import Narrow
from edgeq.ops.op import with_entry
from edgeq.ops.resize_linear import ResizeLinear, tflite_positions
from edgeq.ops.squared_difference import SquaredDifference, SquaredDifferenceConstant

Reader = Callable[[Growing, Operator], None]
OTHERS: Mapping[str, Callable[[str], Any]] = {  # activation -> attributes
    "ADD": AddBroadcast,
    "SUB": Sub,
    "MUL": Mul,
    "SQUARED_DIFFERENCE": lambda _none: SquaredDifference(),
}


def batched(tensor: Tensor) -> tuple[int, ...]:
    """Its shape without the batch axis, which it must have. Raises Refused."""
    if len(tensor.shape) < 2 or tensor.shape[0] != 1:
        raise Refused(f"{tensor.name!r} of shape {list(tensor.shape)} has no batch axis of 1")
    return tensor.shape[1:]


def numbers(g: Growing, op: Operator, place: int) -> list[int]:
    """A constant int32 operand."""
    tensor = g.operand(op, place)
    if tensor.dtype not in ("int32", "int64"):
        raise Refused(f"{tensor.name!r} is {tensor.dtype}, not int32")
    return [int(n) for n in g.constant(tensor).reshape(-1)]


def elementwise(g: Growing, op: Operator, activation: str) -> None:
    """Of two activations that broadcast, or of one and a constant."""
    constants = [g.file.is_constant(g.operand(op, i)) for i in (0, 1)]
    if all(constants):
        raise Refused("it computes with constants alone")
    if any(constants):
        return _with_constant(g, op, activation, constants.index(True))
    sources = g.value(op, 0), g.value(op, 1)
    attrs = OTHERS[op.op](activation)
    return g.add(op, type(attrs).__name__, attrs, sources)


def _with_constant(g: Growing, op: Operator, activation: str, place: int) -> None:
    tensor, source = g.operand(op, place), g.value(op, 1 - place)
    values = g.constant(tensor)
    quant = quant_of_tensor(tensor)
    shape = shape_of(tensor)
    codes = np.ascontiguousarray(values.reshape(shape))
    kind = TensorType(shape, "int8", quant)
    params = g.constants(op, {"other": codes}, {"other": kind})
    attrs: Any = {
        "ADD": AddConstant((1, 1), activation),
        "SUB": AddConstant((1, -1) if place else (-1, 1), activation),
        "MUL": MulConstant(activation),
        "SQUARED_DIFFERENCE": SquaredDifferenceConstant(),
    }[op.op]
    return g.add(op, type(attrs).__name__, attrs, (source,), params)


def extreme(g: Growing, op: Operator) -> None:
    g.same_scale(op, 2)
    constants = [g.file.is_constant(g.operand(op, i)) for i in (0, 1)]
    if sum(constants) == 1:
        return _bounded(g, op, constants.index(True))
    kind = {"MINIMUM": Minimum, "MAXIMUM": Maximum}[op.op]
    return g.add(op, kind.__name__, kind(), (g.value(op, 0), g.value(op, 1)))


def _bounded(g: Growing, op: Operator, place: int) -> None:
    """Held to one number."""
    tensor = g.operand(op, place)
    if tensor.size != 1:
        raise Refused(f"{tensor.name!r} holds {tensor.size} constants; one is taken")
    quant = quant_of_tensor(tensor)
    code = int(g.constant(tensor).reshape(-1)[0])
    codes = (-128, code) if op.op == "MINIMUM" else (code, 127)
    low, high = ((c - quant.zero_point) * quant.per_tensor for c in codes)
    g.add(op, "Clip", Clip(low, high), (g.value(op, 1 - place),))


def _concatenation(g: Growing, op: Operator) -> None:
    if op.option(1, "b"):
        raise Refused("it has a fused activation")
    axis, rank = int(op.option(0, "i")), len(g.output(op).shape)
    axis = axis + rank if axis < 0 else axis
    if not 1 <= axis < rank:
        raise Refused(f"it joins along axis {axis}")
    for i in range(len(op.inputs)):
        batched(g.operand(op, i))
    g.same_scale(op, len(op.inputs))
    sources = tuple(g.value(op, i) for i in range(len(op.inputs)))
    g.add(op, "Concat", Concat(axis - 1), sources)


def _transpose(g: Growing, op: Operator) -> None:
    shape, perm = batched(g.operand(op, 0)), numbers(g, op, 1)
    if len(perm) != len(shape) + 1 or perm[0] != 0:
        raise Refused(f"it transposes by {perm}")
    g.same_scale(op)
    g.add(op, "Transpose", Transpose(tuple(n - 1 for n in perm[1:])), (g.value(op, 0),))


def _slice(g: Growing, op: Operator) -> None:
    shape, begin, size = batched(g.operand(op, 0)), numbers(g, op, 1), numbers(g, op, 2)
    if len(begin) != len(shape) + 1 or len(size) != len(begin) or begin[0] != 0:
        raise Refused(f"it slices {begin}, {size}")
    size = [n - b if s == -1 else s for n, b, s in zip((1, *shape), begin, size, strict=True)]
    g.same_scale(op)
    attrs = Slice(tuple(begin[1:]), tuple(size[1:]), (1,) * len(shape))
    g.add(op, "Slice", attrs, (g.value(op, 0),))


def _strided_slice(g: Growing, op: Operator) -> None:
    shape = (1, *batched(g.operand(op, 0)))
    begin, end, step = (numbers(g, op, i) for i in (1, 2, 3))
    masks = [int(op.option(i, "i")) for i in range(5)]
    if len(begin) != len(shape) or masks[2] or masks[3] or not all(step):
        raise Refused("it has an ellipsis, a new axis or fewer axes than its input")
    g.same_scale(op)
    found = []
    for i, n in enumerate(shape):
        first = None if masks[0] >> i & 1 else begin[i]
        last = None if masks[1] >> i & 1 else end[i]
        if masks[4] >> i & 1:
            first, last, step[i] = begin[i], (begin[i] + 1) or None, 1
        start, stop, by = slice(first, last, step[i]).indices(n)
        found.append((start, len(range(start, stop, by)), by))
    if found[0][:2] != (0, 1):
        raise Refused("it slices the batch")
    starts, sizes, steps = zip(*found[1:], strict=True)
    g.add(op, "Slice", Slice(starts, sizes, steps), (g.value(op, 0),))


def _split(g: Growing, op: Operator) -> None:
    """SPLIT has its axis first and equal parts; SPLIT_V names their sizes."""
    data = 1 if op.op == "SPLIT" else 0
    shape = batched(g.operand(op, data))
    (axis,) = numbers(g, op, 0 if op.op == "SPLIT" else 2)
    axis = axis + len(shape) + 1 if axis < 0 else axis
    if not 1 <= axis <= len(shape):
        raise Refused(f"it splits axis {axis}")
    made = [batched(g.output(op, place)) for place in range(len(op.outputs))]
    _parted(g, op, data, axis - 1, made)


def _parted(
    g: Growing, op: Operator, data: int, axis: int, sizes: Sequence[tuple[int, ...]]
) -> None:
    """Outputs of these sizes, one behind another along an axis of input `data`."""
    begin, rank = 0, len(batched(g.operand(op, data)))
    for place, size in enumerate(sizes):
        if quant_of_tensor(g.output(op, place)) != quant_of_tensor(g.operand(op, data)):
            raise Refused("its input and output have different scales")
        attrs = Slice(with_entry((0,) * rank, axis, begin), size, (1,) * rank)
        g.add(op, "Slice", attrs, (g.value(op, data),), place=place)
        begin += size[axis]


def amounts(g: Growing, op: Operator) -> Array:
    """(axes, 2) of a PAD: cells before and after."""
    tensor = g.operand(op, 1)
    if tensor.dtype not in ("int32", "int64") or len(tensor.shape) != 2 or tensor.shape[1] != 2:
        raise Refused(f"it pads by {tensor.dtype}{list(tensor.shape)}")
    by = g.constant(tensor)
    if len(by) != len(g.operand(op, 0).shape) or by[0].any() or by.min() < 0 or by.max() > 4096:
        raise Refused("it pads the batch, or by more than 4096")
    return by


def pad(g: Growing, op: Operator) -> None:
    """Any axes but the batch; a PADV2's value is a code of the output's scale."""
    by, shape = amounts(g, op), batched(g.operand(op, 0))
    g.same_scale(op)
    value = 0.0
    if op.op == "PADV2":
        tensor, quant = g.operand(op, 2), quant_of_tensor(g.output(op))
        if tensor.dtype != "int8" or tensor.size != 1:
            raise Refused(f"it pads with {tensor.dtype}{list(tensor.shape)}")
        value = (int(g.constant(tensor).reshape(-1)[0]) - quant.zero_point) * quant.per_tensor
    before, after = (tuple(int(n) for n in by[1:, i]) for i in (0, 1))
    assert len(before) == len(shape)
    g.add(op, "Pad", Pad(before, after, value), (g.value(op, 0),))


def _mirror_pad(g: Growing, op: Operator) -> None:
    """Cells continued at both ends of each axis, with the last one again or without."""
    by, name = amounts(g, op), g.value(op, 0)
    shape = batched(g.operand(op, 0))
    mode = "symmetric" if op.option(0, "b") else "reflect"
    pairs = [(int(before), int(after)) for before, after in by[1:]]
    axes = zip(shape, pairs, strict=True)
    _gathered(g, op, name, [continued(n, pair, mode) if any(pair) else None for n, pair in axes])


def _tile(g: Growing, op: Operator) -> None:
    """The cells of each axis over again."""
    repeats, name = numbers(g, op, 1), g.value(op, 0)
    shape = (1, *batched(g.operand(op, 0)))
    if len(repeats) != len(shape) or repeats[0] != 1 or not all(1 <= n <= 4096 for n in repeats):
        raise Refused(f"it repeats {list(shape)} by {repeats[:8]}")
    axes = [*zip(shape[1:], repeats[1:], strict=True)]
    if any(times > 1 and n * times > MOST_PLACES for n, times in axes):  # before they are listed
        raise Refused(f"it repeats {list(shape)} by {repeats[:8]}")
    _gathered(g, op, name, [[*range(n)] * times if times > 1 else None for n, times in axes])


def _gathered(g: Growing, op: Operator, name: str, places: Sequence[list[int] | None]) -> None:
    """The cells at these places of each axis; None: all as they are."""
    g.same_scale(op)
    wide = {axis: tuple(cells) for axis, cells in enumerate(places) if cells is not None}
    for axis, cells in wide.items():
        attrs = Gather(axis, cells)
        if axis == max(wide):
            return g.add(op, "Gather", attrs, (name,))
        name = g.between(op, "Gather", attrs, name, f"axis_{axis + 1}")
    return g.alias(op)


def _pack(g: Growing, op: Operator) -> None:
    """Tensors side by side along an axis that they have not got."""
    rank = len(g.output(op).shape)
    axis = int(op.option(1, "i"))
    axis = axis + rank if axis < 0 else axis
    if not 1 <= axis < rank:
        raise Refused(f"it joins along axis {axis}")
    g.same_scale(op, len(op.inputs))
    parts = []
    for i in range(len(op.inputs)):
        shape = [1, *batched(g.operand(op, i))]
        shape.insert(axis, 1)
        parts.append(g.reshaped(op, g.value(op, i), tuple(shape[1:]), f"part_{i}"))
    g.add(op, "Concat", Concat(axis - 1), tuple(parts))


def _unpack(g: Growing, op: Operator) -> None:
    shape = batched(g.operand(op, 0))
    axis = int(op.option(1, "i"))
    axis = axis + len(shape) + 1 if axis < 0 else axis
    if not 1 <= axis <= len(shape) or shape[axis - 1] != len(op.outputs):
        raise Refused(f"it takes {[1, *shape]} apart along axis {axis}")
    _parted(g, op, 0, axis - 1, [with_entry(shape, axis - 1, 1)] * len(op.outputs))


def _expand(g: Growing, op: Operator) -> None:
    shape, made = batched(g.operand(op, 0)), batched(g.output(op))
    g.same_scale(op)
    wide = (1,) * (len(made) - len(shape)) + shape
    source = g.reshaped(op, g.value(op, 0), wide)
    g.add(op, "Expand", Expand(made), (source,))


def _resize_nearest(g: Growing, op: Operator) -> None:
    """By whole factors, where the ways of rounding agree."""
    name, given = g.map(op)
    made = batched(g.output(op))
    factor = made[0] // given.size[0], made[1] // given.size[1]
    if op.option(0, "b") or any(made[i] != given.size[i] * factor[i] for i in (0, 1)):
        raise Refused(f"it resizes {given.size} to {made[:2]}; whole factors are taken")
    g.same_scale(op)
    g.add(op, "ResizeNearest", ResizeNearest(factor), (name,))


def _resize_linear(g: Growing, op: Operator) -> None:
    name, given = g.map(op)
    made = batched(g.output(op))
    align, half = bool(op.option(2, "b")), bool(op.option(3, "b"))
    if align and half:
        raise Refused("it has aligned corners and half pixels")
    down, across = (tflite_positions(given.size[i], made[i], align, half) for i in (0, 1))
    g.same_scale(op)
    g.add(op, "ResizeLinear", ResizeLinear(down, across), (name,))


def _batch_matmul(g: Growing, op: Operator) -> None:
    """Of two activations."""
    for i in (0, 1):
        batched(g.operand(op, i))
    if op.option(0, "b"):
        raise Refused("its first operand is transposed")
    attrs = BatchMatMul(bool(op.option(1, "b")))
    g.add(op, "BatchMatMul", attrs, (g.value(op, 0), g.value(op, 1)))


def gather(g: Growing, op: Operator) -> None:
    """Constant places along one axis."""
    shape, places = batched(g.operand(op, 0)), numbers(g, op, 1)
    axis = int(op.option(0, "i"))
    axis = axis + len(shape) + 1 if axis < 0 else axis
    if op.option(1, "i") or axis < 1 or len(g.operand(op, 1).shape) != 1:
        raise Refused("it gathers along the batch, or by other than a list of places")
    g.same_scale(op)
    g.add(op, "Gather", Gather(axis - 1, tuple(places)), (g.value(op, 0),))


def _reversed(g: Growing, op: Operator) -> None:
    """Cells of some axes from the last to the first."""
    shape, axes = batched(g.operand(op, 0)), numbers(g, op, 1)
    found = {a + len(shape) if a < 0 else a - 1 for a in axes}
    if not found or min(found) < 0 or max(found) >= len(shape):
        raise Refused(f"it turns axes {axes[:8]} of {[1, *shape]} around")
    g.same_scale(op)
    starts = tuple(n - 1 if i in found else 0 for i, n in enumerate(shape))
    steps = tuple(-1 if i in found else 1 for i in range(len(shape)))
    g.add(op, "Slice", Slice(starts, shape, steps), (g.value(op, 0),))


def _blocks(g: Growing, op: Operator) -> None:
    name, _ = g.map(op)
    g.same_scale(op)
    block = int(op.option(0, "i"))
    if op.op == "DEPTH_TO_SPACE":
        return g.add(op, "DepthToSpace", DepthToSpace(block), (name,))
    return g.add(op, "SpaceToDepth", SpaceToDepth(block), (name,))


def quantize(g: Growing, op: Operator) -> None:
    """Another scale or zero point; nothing where they are the same."""
    if g.operand(op, 0).dtype == "int16":
        return g.add(op, "Narrow", Narrow(), (g.value(op, 0, BOTH),))
    if quant_of_tensor(g.operand(op, 0)) == quant_of_tensor(g.output(op)):
        return g.alias(op)
    return g.add(op, "Quantize", Quantize(), (g.value(op, 0),))


SHAPE_READERS: dict[str, Reader] = {
    "MINIMUM": extreme,
    "MAXIMUM": extreme,
    "SQUARED_DIFFERENCE": lambda g, op: elementwise(g, op, "none"),
    "CONCATENATION": _concatenation,
    "TRANSPOSE": _transpose,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "PADV2": pad,
    "MIRROR_PAD": _mirror_pad,
    "TILE": _tile,
    "PACK": _pack,
    "UNPACK": _unpack,
    "BROADCAST_TO": _expand,
    "RESIZE_NEAREST_NEIGHBOR": _resize_nearest,
    "RESIZE_BILINEAR": _resize_linear,
    "GATHER": gather,
    "REVERSE_V2": _reversed,
    "BATCH_MATMUL": _batch_matmul,
    "DEPTH_TO_SPACE": _blocks,
    "SPACE_TO_DEPTH": _blocks,
    "QUANTIZE": quantize,
}

"""Readers of ONNX operators that take cells by places: Gather, Tile, Pad, Resize."""

import math
from collections.abc import Sequence

import numpy as np

from edgeq.frontend.cells import MOST_REPEATS, between, continued, coordinates, nearest, step_of
from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import UNIT, Value
from edgeq.frontend.onnx_file import Operator
from edgeq.frontend.onnx_graph import Reader, Reading, axis_of
from edgeq.frontend.onnx_shapes import give_value, reshape, sliced
from edgeq.ops.copies import Pad, ResizeNearest
from edgeq.ops.embedding import Embedding
from edgeq.ops.gather import Gather
from edgeq.ops.resize_linear import ResizeLinear


def taken(g: Reading, value: Value, axis: int, places: Sequence[int]) -> Value:
    """The cells at `places` of an axis of the file's; a slice where they are evenly apart."""
    if list(places) == list(range(value.shape[axis])):
        return value
    if step := step_of(places):
        return sliced(g, value, {axis: (places[0], len(places), step)})
    value = _with_axis(g, value, axis)
    attrs = Gather(value.axes.index(axis), tuple(places))
    shape = tuple(len(places) if i == axis else n for i, n in enumerate(value.shape))
    return Value(g.add("Gather", attrs, (value.name,)), shape, value.axes)


def _with_axis(g: Reading, value: Value, axis: int) -> Value:
    """With that axis among the tensor's, where it is one of 1."""
    if value.flat is not None:
        value = g.unflattened(value)
    if axis in value.axes:
        return value
    axes = (axis, *(a for a in value.axes if a != UNIT))
    return Value(g.ordered(value, axes), value.shape, axes)


def _gather(g: Reading, op: Operator) -> None:
    """By constant places; rows of a constant table by an input's."""
    if g.is_constant(op, 0) and not g.is_constant(op, 1):
        return _embedding(g, op)
    value, index = g.value(op), g.constant(op, 1)
    rank = len(value.shape)
    axis = axis_of(int(op.get("axis", 0)), rank)
    n = value.shape[axis]
    if index.dtype.kind not in "iu" or index.size < 1:
        raise Refused(f"it gathers by {index.dtype}{list(index.shape)}")
    places = np.where(index < 0, index + n, index).reshape(-1)
    if not 0 <= places.min() <= places.max() < n:
        raise Refused(f"it gathers places {places[:8].tolist()} of {n}")
    made = taken(g, value, axis, [int(p) for p in places])
    if index.ndim == 1:
        return give_value(g, op, made)
    return reshape(g, op, made, (*made.shape[:axis], *index.shape, *made.shape[axis + 1 :]))


def _embedding(g: Reading, op: Operator) -> None:
    table, ids = g.real(op, 0), g.value(op, 1)
    if table.ndim != 2 or axis_of(int(op.get("axis", 0)), 2):
        raise Refused(f"it reads {list(table.shape)} by computed places; rows of a table are taken")
    rank = len(ids.shape)
    axes = [a for a in range(rank) if ids.shape[a] > 1] or [rank - 1]
    made = g.add("Embedding", Embedding(), (g.ordered(ids, axes),), {"table": table})
    g.give(op, made, (*ids.shape, table.shape[1]), (*axes, rank))


def _tile(g: Reading, op: Operator) -> None:
    value, repeats = g.value(op), g.whole(op, 1)
    if len(repeats) != len(value.shape) or not all(1 <= n <= MOST_REPEATS for n in repeats):
        raise Refused(f"it repeats {list(value.shape)} by {repeats[:8]}")
    for axis, times in enumerate(repeats):
        value = taken(g, value, axis, [*range(value.shape[axis])] * times)
    give_value(g, op, value)


def _pad(g: Reading, op: Operator) -> None:
    """Amounts below zero cut cells off."""
    value, pads = g.value(op), g.whole(op, 1)
    rank, mode = len(value.shape), op.get("mode", "constant")
    axes = [axis_of(a, rank) for a in g.whole(op, 3)] if g.has(op, 3) else list(range(rank))
    if len(pads) != 2 * len(axes):
        raise Refused(f"it has pads {pads[:16]} of {len(axes)} axes")
    before = dict(zip(axes, pads[: len(axes)], strict=True))
    after = dict(zip(axes, pads[len(axes) :], strict=True))
    cut = {
        a: (max(-before[a], 0), value.shape[a] + min(before[a], 0) + min(after[a], 0), 1)
        for a in axes
        if min(before[a], after[a]) < 0
    }
    if any(size < 1 for _, size, _ in cut.values()):
        raise Refused(f"it has pads {pads[:16]} and leaves nothing")
    value = sliced(g, value, cut) if cut else value
    ends = {a: (max(before[a], 0), max(after[a], 0)) for a in axes}
    if not any(n for pair in ends.values() for n in pair):
        return give_value(g, op, value) if cut else g.same(op, value)
    if mode != "constant":
        return give_value(g, op, _continued(g, value, ends, mode))
    number = g.optional(op, 2)
    fill = 0.0 if number is None or not number.size else float(number.reshape(-1)[0])
    return give_value(g, op, _filled(g, value, ends, fill))


def _continued(g: Reading, value: Value, ends: dict[int, tuple[int, int]], mode: str) -> Value:
    """As numpy pads the places of an axis."""
    for axis, pair in ends.items():
        value = taken(g, value, axis, continued(value.shape[axis], pair, mode))
    return value


def _filled(g: Reading, value: Value, ends: dict[int, tuple[int, int]], fill: float) -> Value:
    if value.flat is not None:
        value = g.unflattened(value)
    held = [a for a in value.axes if a != UNIT]
    wide = [a for a, pair in ends.items() if any(pair)]
    if any(a not in held for a in wide):
        held = [*held, *(a for a in range(len(value.shape)) if a not in held)]
    name = g.ordered(value, held)
    front, back = (tuple(ends.get(a, (0, 0))[i] for a in held) for i in (0, 1))
    shape = tuple(n + sum(ends.get(i, (0, 0))) for i, n in enumerate(value.shape))
    return Value(g.add("Pad", Pad(front, back, fill), (name,)), shape, tuple(held))


def _resize(g: Reading, op: Operator) -> None:
    """The nearest cell, or between two, of height and width."""
    name, value = g.map(op)
    rank, mode = len(value.shape), op.get("mode", "nearest")
    if op.get("antialias", 0) or mode not in ("nearest", "linear"):
        raise Refused(f"it has mode {mode[:20]!r} or smooths; nearest and linear are taken")
    made, scales = _sizes(g, op, value.shape)
    if made[:2] != value.shape[:2]:
        raise Refused(f"it resizes {list(value.shape)} to {made}; only maps are resized")
    how = op.get("coordinate_transformation_mode", "half_pixel")
    along = [coordinates(how, *side) for side in zip(value.shape, made, scales, strict=True)][2:]
    sizes = value.shape[2:]
    near = op.get("nearest_mode", "round_prefer_floor")
    if mode == "linear":
        down, across = (
            between(at, n)
            for at, n in zip([np.zeros(1), *along][-2:], (1, *sizes)[-2:], strict=True)
        )
        return g.give_map(op, g.add("ResizeLinear", ResizeLinear(down, across), (name,)), rank)
    places = [nearest(near, at, n) for at, n in zip(along, sizes, strict=True)]
    factors = [max(len(p) // n, 1) for p, n in zip(places, sizes, strict=True)]
    whole = [[i // f for i in range(n * f)] for n, f in zip(sizes, factors, strict=True)]
    if places == whole:
        attrs = ResizeNearest((factors[-2] if rank == 4 else 1, factors[-1]))
        return g.give_map(op, g.add("ResizeNearest", attrs, (name,)), rank)
    for axis, where in enumerate(places, 2):
        value = taken(g, value, axis, where)
    return give_value(g, op, value)


def _sizes(g: Reading, op: Operator, shape: tuple[int, ...]) -> tuple[tuple[int, ...], list[float]]:
    """(output shape, scale of each axis), as ONNX counts them."""
    rank, given = len(shape), g.optional(op, 3)
    scales = g.optional(op, 2)
    axes = [axis_of(a, rank) for a in op.ints("axes", range(rank))]
    policy = op.get("keep_aspect_ratio_policy", "stretch")  # of sizes: with scales it says nothing
    if given is not None and given.size:
        wanted = dict(zip(axes, given.reshape(-1), strict=True))
        along = {a: float(n) / shape[a] for a, n in wanted.items()}
        if policy != "stretch":
            one = min(along.values()) if policy == "not_larger" else max(along.values())
            along = dict.fromkeys(along, one)
        made = [math.floor(along[a] * n + 0.5) if a in along else n for a, n in enumerate(shape)]
    elif scales is not None and scales.size:
        along = dict(zip(axes, (float(n) for n in scales.reshape(-1)), strict=True))
        made = [math.floor(along.get(a, 1.0) * n) for a, n in enumerate(shape)]
    else:
        raise Refused("it says no sizes")
    found = [along.get(a, 1.0) for a in range(rank)]
    if not all(math.isfinite(s) and 0 < s <= MOST_REPEATS for s in found) or min(made) < 1:
        raise Refused(f"it resizes {list(shape)} by {found[:8]}")
    return tuple(made), found


PLACE_READERS: dict[str, Reader] = {
    "Gather": _gather,
    "Tile": _tile,
    "Pad": _pad,
    "Resize": _resize,
}

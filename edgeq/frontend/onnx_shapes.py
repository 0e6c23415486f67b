"""Readers of ONNX operators that move cells, or only name them anew."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.float_graph import UNIT, Value
from edgeq.frontend.onnx_file import Operator, Shape
from edgeq.frontend.onnx_graph import Reader, Reading, axis_of
from edgeq.ops.concat import Concat
from edgeq.ops.copies import (
    DepthToSpace,
    Expand,
    Slice,
    SpaceToDepth,
    Transpose,
)

Span = tuple[int, int, int]
"""(start, size, step) of an axis."""
Group = tuple[list[int], list[int]]
"""Axes of the input and of the output that hold the same cells."""


def _groups(given: Shape, made: Shape) -> list[Group]:
    """The least groups of axes, those of 1 left out, that a reshape keeps together."""
    a = [i for i, n in enumerate(given) if n > 1]
    b = [i for i, n in enumerate(made) if n > 1]
    found: list[Group] = []
    while a or b:
        left, right = [a.pop(0)] if a else [], [b.pop(0)] if b else []
        sizes = [math.prod(given[i] for i in left), math.prod(made[i] for i in right)]
        while sizes[0] != sizes[1]:
            side, shape, kept = (a, given, left) if sizes[0] < sizes[1] else (b, made, right)
            if not side:
                raise Refused(f"it makes {list(made)} of {list(given)}")
            kept.append(side.pop(0))
            sizes[0 if shape is given else 1] *= shape[kept[-1]]
        found.append((left, right))
    return found


def reshape(g: Reading, op: Operator, value: Value, made: Shape) -> None:
    """Axes that are split or joined stay where they lie; a whole map is flattened as it lies."""
    if math.prod(value.shape) != math.prod(made):
        raise Refused(f"it makes {list(made)} of {list(value.shape)}")
    wide = [i for i, n in enumerate(made) if n > 1]
    if value.flat is not None and len(wide) == 1:
        return g.give(op, value.name, made, (wide[0],), flat=value.flat)
    if value.flat is not None:
        value = g.unflattened(value)
    groups = _groups(value.shape, made)
    held = [a for a in value.axes if a != UNIT and value.shape[a] > 1]
    together = all(_lie_together(held, group[0]) for group in groups)
    if not together and len(groups) == 1 and len(wide) == 1:
        name = g.reshaped(value.name, (math.prod(made),))
        return g.give(op, name, made, wide, flat=(value.shape, value.axes))
    if not together:
        groups_in_order = sorted(groups, key=lambda group: held.index(group[0][0]))
        held = [a for group in groups_in_order for a in group[0]]
        value = Value(g.ordered(value, held), value.shape, tuple(held))
    first = {group[0][0]: group[1] for group in groups if group[0]}
    axes = [b for a in held for b in first.get(a, [])]
    same = [value.shape[a] for a in held] == [made[b] for b in axes]
    if same:  # the tensor may keep its axes of 1
        moved = dict(zip(held, axes, strict=True))
        kept = [moved.get(a, UNIT) for a in value.axes]
        return g.give(op, value.name, made, kept)
    return g.give(op, g.reshaped(value.name, [made[b] for b in axes]), made, axes)


def _lie_together(held: Sequence[int], axes: Sequence[int]) -> bool:
    if not axes:
        return True
    at = held.index(axes[0])
    return list(held[at : at + len(axes)]) == list(axes)


def _reshape(g: Reading, op: Operator) -> None:
    value, wanted = g.value(op), g.whole(op, 1)
    if not op.get("allowzero", 0):
        if len(wanted) > len(value.shape) and 0 in wanted[len(value.shape) :]:
            raise Refused(f"it makes {wanted}")
        wanted = [value.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) > 1 or known < 1 or min(wanted, default=1) < -1:
        raise Refused(f"it makes {wanted}")
    made = [math.prod(value.shape) // known if n == -1 else n for n in wanted]
    reshape(g, op, value, tuple(made))


def _flatten(g: Reading, op: Operator) -> None:
    value = g.value(op)
    axis = int(op.get("axis", 1))
    axis = axis + len(value.shape) if axis < 0 else axis
    front, back = value.shape[:axis], value.shape[axis:]
    reshape(g, op, value, (math.prod(front), math.prod(back)))


def _squeeze(g: Reading, op: Operator) -> None:
    value = g.value(op)
    rank = len(value.shape)
    axes = {axis_of(a, rank) for a in g.whole(op, 1)} if g.has(op, 1) else None
    gone = axes if axes is not None else {i for i, n in enumerate(value.shape) if n == 1}
    if any(value.shape[i] != 1 for i in gone):
        raise Refused(f"it squeezes axes {sorted(gone)} of {list(value.shape)}")
    reshape(g, op, value, tuple(n for i, n in enumerate(value.shape) if i not in gone))


def _unsqueeze(g: Reading, op: Operator) -> None:
    value, given = g.value(op), g.whole(op, 1)
    rank = len(value.shape) + len(given)
    new = {axis_of(a, rank) for a in given}
    old = iter(value.shape)
    if len(new) != len(given):
        raise Refused(f"it adds axes {given}")
    reshape(g, op, value, tuple(1 if i in new else next(old) for i in range(rank)))


def _transpose(g: Reading, op: Operator) -> None:
    """Nothing moves: the file's axes are found elsewhere."""
    value = g.value(op)
    rank = len(value.shape)
    perm = op.ints("perm", range(rank)[::-1])
    if sorted(perm) != list(range(rank)):
        raise Refused(f"it has perm {perm}")
    if value.flat is not None:
        value = g.unflattened(value)
    axes = [UNIT if a == UNIT else perm.index(a) for a in value.axes]
    g.give(op, value.name, [value.shape[p] for p in perm], axes)


def _concat(g: Reading, op: Operator) -> None:
    values = [g.value(op, i) for i in range(len(op.inputs))]
    joined(g, op, values, axis_of(int(op.get("axis", 0)), len(values[0].shape)))


def joined(g: Reading, op: Operator, values: Sequence[Value], axis: int) -> None:
    """One behind the other along an axis of the file's."""
    values = [v if v.flat is None else g.unflattened(v) for v in values]
    rank = len(values[0].shape)
    if any(len(v.shape) != rank for v in values):
        raise Refused("its inputs have different numbers of axes")
    most = max(values, key=lambda v: sum(n > 1 for n in v.shape))
    wanted = [a for a in most.axes if a != UNIT and (a == axis or most.shape[a] > 1)]
    if axis not in wanted:
        wanted.append(axis)
    names = [g.ordered(v, wanted) for v in values]
    made = g.add("Concat", Concat(wanted.index(axis)), names)
    shape = list(values[0].shape)
    shape[axis] = sum(v.shape[axis] for v in values)
    g.give(op, made, shape, wanted)


def sliced(g: Reading, value: Value, spans: Mapping[int, Span]) -> Value:
    """Some cells of some axes."""
    if value.flat is not None:
        value = g.unflattened(value)
    spans = {
        a: s
        for a, s in spans.items()
        if (*s[:2], s[2] if s[1] > 1 else 1) != (0, value.shape[a], 1)
    }
    shape = tuple(spans[i][1] if i in spans else n for i, n in enumerate(value.shape))
    if not spans:
        return value
    held = [a for a in value.axes if a != UNIT]
    if any(a not in held for a in spans):
        raise Refused(f"it takes {dict(spans)} of {list(value.shape)}")
    given = [(0, 1, 1) if a == UNIT else spans.get(a, (0, value.shape[a], 1)) for a in value.axes]
    start, size, step = (tuple(part) for part in zip(*given, strict=True))
    return Value(g.add("Slice", Slice(start, size, step), (value.name,)), shape, value.axes)


def give_value(g: Reading, op: Operator, value: Value, place: int = 0) -> None:
    g.give(op, value.name, value.shape, value.axes, place=place)


def _slice(g: Reading, op: Operator) -> None:
    value, starts, ends = g.value(op), g.whole(op, 1), g.whole(op, 2)
    rank = len(value.shape)
    axes = g.whole(op, 3) if g.has(op, 3) else list(range(len(starts)))
    steps = g.whole(op, 4) if g.has(op, 4) else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise Refused(f"it slices {starts}, {ends}, {axes}, {steps}")
    spans = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = axis_of(axis, rank)
        n = value.shape[axis]
        stop: int | None = end if end >= 0 else end + n
        if step < 0 and end < -n:
            stop = None
        first, last, by = slice(start, stop if stop is None else max(stop, 0), step).indices(n)
        if step < 0 and stop is None:
            last = -1
        spans[axis] = (first, len(range(first, last, by)), by)
        if spans[axis][1] < 1:
            raise Refused("it takes nothing")
    give_value(g, op, sliced(g, value, spans))


def _split(g: Reading, op: Operator) -> None:
    value, count = g.value(op), len(op.outputs)
    axis = axis_of(int(op.get("axis", 0)), len(value.shape))
    n = value.shape[axis]
    part = -(-n // count)
    sizes = g.whole(op, 1) if g.has(op, 1) else [part] * (count - 1) + [n - part * (count - 1)]
    if len(sizes) != count or sum(sizes) != n or min(sizes) < 1:
        raise Refused(f"it splits {n} into {sizes}")
    start = 0
    for place, size in enumerate(sizes):
        give_value(g, op, sliced(g, value, {axis: (start, size, 1)}), place)
        start += size


def _blocks(g: Reading, op: Operator) -> None:
    name, value = g.map(op)
    block = int(op.get("blocksize", 0))
    if op.op == "SpaceToDepth" and op.get("mode", "DCR") == "CRD":
        made = _channel_by_channel(g, name, block)
    elif op.op == "SpaceToDepth":
        made = g.add("SpaceToDepth", SpaceToDepth(block), (name,))
    else:
        crd = op.get("mode", "DCR") == "CRD"
        made = g.add("DepthToSpace", DepthToSpace(block, crd), (name,))
    g.give_map(op, made, len(value.shape))


def _channel_by_channel(g: Reading, name: str, block: int) -> str:
    """SpaceToDepth that leaves the cells of a channel's block together."""
    height, width, channels = g.shape_of(name)
    if block < 1 or height % block or width % block:
        raise Refused(f"a map of {height} x {width} is no blocks of {block}")
    down, across = height // block, width // block
    name = g.reshaped(name, (down, block, across, block, channels))
    name = g.add("Transpose", Transpose((0, 2, 4, 1, 3)), (name,))
    return g.reshaped(name, (down, across, channels * block**2))


def _expand(g: Reading, op: Operator) -> None:
    value, wanted = g.value(op), tuple(g.whole(op, 1))
    try:
        made = np.broadcast_shapes(value.shape, wanted)
    except ValueError as error:
        raise Refused(f"it makes {wanted} of {list(value.shape)}") from error
    more = len(made) - len(value.shape)
    if value.flat is not None:
        value = g.unflattened(value)
    axes = [UNIT if a == UNIT else a + more for a in value.axes]
    wide = Value(value.name, (1,) * more + value.shape, tuple(axes))
    if made == wide.shape:
        return give_value(g, op, wide)
    order = [a for a in range(len(made)) if made[a] > 1]
    attrs = Expand(tuple(made[a] for a in order))
    return g.give(op, g.add("Expand", attrs, (g.ordered(wide, order),)), made, order)


SHAPE_READERS: dict[str, Reader] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "DepthToSpace": _blocks,
    "SpaceToDepth": _blocks,
    "Expand": _expand,
}

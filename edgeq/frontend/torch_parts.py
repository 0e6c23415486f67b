"""PyTorch's operators that join, cut, pad and repeat tensors. ATEN_PARTS is the table."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgeq.frontend.findings import Refused
from edgeq.frontend.placed import Placed, Placing, memory_of
from edgeq.frontend.torch_layers import Arguments, Reader, activation, numbers
from edgeq.frontend.torch_values import axis_of
from edgeq.nn.graph_ends import joined_order
from edgeq.ops.concat import Concat
from edgeq.ops.copies import Pad, ResizeNearest, Slice
from edgeq.ops.graph_builder import Cursor


def in_order(x: Placed) -> Placed:
    """A flattened map has no axes to cut; anything else stays."""
    if x.order is not None:
        raise Refused("it reads a flattened map, whose values lie in another order")
    return x


def _cat(b: Placing, name: str, a: Arguments) -> Placed:
    flat = [activation(t) for t in a["tensors"]]
    if all(p.rank == 1 for p in flat) and any(p.order is not None for p in flat):
        return _cat_flat(b, name, flat)
    parts = [in_order(activation(t)) for t in a["tensors"]]
    first, axis = parts[0], axis_of(parts[0], a["dim"])
    best = max(parts, key=lambda p: len(p.long_axes))
    given = [b.arranged(p, best.axes, name) for p in parts]
    size = sum(p.shape[axis] for p in parts)
    shape = (*first.shape[:axis], size, *first.shape[axis + 1 :])
    made = b.add("Concat", name, Concat(best.axes.index(axis)), tuple(given))
    return Placed(made.name, shape, best.axes)


def _cat_flat(b: Placing, name: str, parts: Sequence[Placed]) -> Placed:
    """Features, some of them of a flattened map, whose order goes on behind them."""
    given = [
        b.arranged(p, (0,), name) if p.order is None else Cursor(p.name, p.memory) for p in parts
    ]
    order = joined_order([(p.order, p.shape[0]) for p in parts])
    made = b.add("Concat", name, Concat(0), tuple(given))
    return Placed(made.name, made.shape, (0,), order)


def cut(
    b: Placing, name: str, x: Placed, axis: int, start: int, stop: int, step: int = 1
) -> Placed:
    """Cells start, start + step, ... before `stop` along a logical axis."""
    x = in_order(x)
    size = len(range(start, stop, step))
    if size < 1:
        raise Refused(f"it cuts nothing out: cells {start} to {stop}")
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    memory, place = x.memory, x.axes.index(axis)
    starts = tuple(start if i == place else 0 for i in range(len(memory)))
    steps = tuple(step if i == place else 1 for i in range(len(memory)))
    attrs = Slice(starts, memory_of(shape, x.axes), steps)
    made = b.add("Slice", b.fresh(name), attrs, (Cursor(x.name, memory),))
    return Placed(made.name, shape, x.axes)


def _slice(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    if a["dim"] == 0:  # the batch, of which there is one row
        if a["start"] or a["step"] != 1:
            raise Refused("it cuts the batch")
        return x
    axis = axis_of(x, a["dim"])
    start, stop, _ = slice(a["start"], a["end"], a["step"]).indices(x.shape[axis])
    return cut(b, name, x, axis, start, stop, a["step"])


def _select(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    axis = axis_of(x, a["dim"])
    index = a["index"] % x.shape[axis]
    made = cut(b, name, x, axis, index, index + 1)
    return b.reshaped(made, (*x.shape[:axis], *x.shape[axis + 1 :]), name)


def _pieces(b: Placing, name: str, x: Placed, axis: int, sizes: Sequence[int]) -> list[Placed]:
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return [
        cut(b, f"{name}.{i}", x, axis, end - size, end)
        for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
    ]


def _split(b: Placing, name: str, a: Arguments) -> list[Placed]:
    x = activation(a["self"])
    axis = axis_of(x, a["dim"])
    given: Any = a.get("split_size", a.get("split_sizes"))
    size = x.shape[axis]
    if isinstance(given, int):
        given = [min(given, size - at) for at in range(0, size, given)]
    return _pieces(b, name, x, axis, given)


def _chunk(b: Placing, name: str, a: Arguments) -> list[Placed]:
    x = activation(a["self"])
    size = -(-x.shape[axis_of(x, a["dim"])] // a["chunks"])
    return _split(b, name, {"self": x, "dim": a["dim"], "split_size": size})


def padded(b: Placing, name: str, a: Arguments) -> Placed:
    x = in_order(activation(a["self"]))
    ends = list(a["pad"])
    before, after = [0] * x.rank, [0] * x.rank
    for i in range(len(ends) // 2):
        if i >= x.rank:
            raise Refused("it pads the batch")
        before[-1 - i], after[-1 - i] = ends[2 * i], ends[2 * i + 1]
    if min(*before, *after, 0) < 0:
        raise Refused("it pads by less than nothing")
    placed = [tuple(0 if i < 0 else n[i] for i in x.axes) for n in (before, after)]
    attrs = Pad(placed[0], placed[1], float(a.get("value") or 0.0))
    made = b.add("Pad", name, attrs, (Cursor(x.name, x.memory),))
    shape = tuple(n + p + q for n, p, q in zip(x.shape, before, after, strict=True))
    return Placed(made.name, shape, x.axes)


def _upsample(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a.get("input", a.get("self")))
    if x.rank != 3:
        raise Refused("it resizes what is no map (N, C, H, W)")
    wanted = a.get("output_size")
    if wanted is None:
        scales = a["scale_factors"]
        wanted = [int(n * s) for n, s in zip(x.shape[1:], scales, strict=True)]
    height, width = numbers(wanted, 2)
    if height % x.shape[1] or width % x.shape[2]:
        raise Refused(f"it resizes {x.shape[1:]} to {(height, width)}, no whole factors")
    given = b.as_map(x, name)
    attrs = ResizeNearest((height // x.shape[1], width // x.shape[2]))
    made = b.add("ResizeNearest", name, attrs, (given,))
    return Placed(made.name, (x.shape[0], height, width), (1, 2, 0))


ATEN_PARTS: Mapping[str, Reader] = {
    **dict.fromkeys(("cat", "concat"), _cat),
    "slice": _slice,
    "select": _select,
    **dict.fromkeys(("split", "split_with_sizes"), _split),
    "chunk": _chunk,
    "upsample_nearest2d": _upsample,
}

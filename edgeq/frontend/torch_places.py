"""PyTorch's operators that take cells by places. ATEN_PLACES is the table."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from edgeq.errors import UnsupportedOp
from edgeq.frontend.cells import MOST_REPEATS, between, continued, coordinates, step_of
from edgeq.frontend.findings import Refused
from edgeq.frontend.placed import Placed, Placing, permuted
from edgeq.frontend.torch_layers import (
    Arguments,
    Reader,
    activation,
    constant,
    numbers,
    out_of,
)
from edgeq.frontend.torch_parts import cut, in_order, padded
from edgeq.frontend.torch_values import axis_of
from edgeq.ops.copies import DepthToSpace
from edgeq.ops.embedding import Embedding
from edgeq.ops.gather import Gather
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.resize_linear import ResizeLinear

MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _taken(b: Placing, name: str, x: Placed, axis: int, places: Sequence[int]) -> Placed:
    """The cells at `places` of a logical axis; a slice where they are evenly apart."""
    if list(places) == list(range(x.shape[axis])):
        return x
    if (step := step_of(places)) > 0:
        return cut(b, name, x, axis, places[0], places[-1] + 1, step)
    x = in_order(x)
    attrs = Gather(x.axes.index(axis), tuple(places))
    made = b.add("Gather", b.fresh(name), attrs, (Cursor(x.name, x.memory),))
    return Placed(made.name, (*x.shape[:axis], len(places), *x.shape[axis + 1 :]), x.axes)


def _indexed(b: Placing, name: str, x: Placed, dim: int, index: object) -> Placed:
    if not isinstance(index, Tensor):
        raise Refused("its places are computed, not constants")
    axis = axis_of(x, dim)
    if index.dtype == torch.bool:  # how many it takes has no shape to go on with
        raise UnsupportedOp(f"{name} takes cells by a mask; give their places as whole numbers")
    size = x.shape[axis]
    places = [int(p) for p in index.reshape(-1)]
    if not places or not -size <= min(places) <= max(places) < size:
        raise Refused(f"it takes places {places[:8]} of {size}")
    made = _taken(b, name, x, axis, [p % size for p in places])
    if index.dim() == 1:
        return made
    return b.reshaped(made, (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), name)


def _index_select(b: Placing, name: str, a: Arguments) -> Placed:
    return _indexed(b, name, activation(a["self"]), a["dim"], a["index"])


def _index(b: Placing, name: str, a: Arguments) -> Placed:
    found = [(dim, index) for dim, index in enumerate(a["indices"]) if index is not None]
    if len(found) != 1:
        raise Refused(f"it takes places of {len(found)} axes at once; one is taken")
    return _indexed(b, name, activation(a["self"]), *found[0])


def _repeat(b: Placing, name: str, a: Arguments) -> Placed:
    """Of `tile` the axes in front may be left out."""
    x = activation(a["self"])
    times = [int(n) for n in a.get("repeats", a.get("dims"))]
    if "dims" in a:
        times = [1] * (x.rank + 1 - len(times)) + times
    if len(times) != x.rank + 1 or times[0] != 1:
        raise Refused(f"it repeats the batch, or adds axes: {times}")
    if not all(1 <= n <= MOST_REPEATS for n in times):
        raise Refused(f"it repeats {('N', *x.shape)} by {times}")
    for axis, count in enumerate(times[1:]):
        x = _taken(b, name, x, axis, [*range(x.shape[axis])] * count)
    return x


def _pad(b: Placing, name: str, a: Arguments) -> Placed:
    mode = a.get("mode", "constant")
    if mode == "constant":
        return padded(b, name, a)
    x = activation(a["self"])
    ends = list(a["pad"])
    if mode not in MODES or len(ends) // 2 > x.rank or min(ends) < 0:
        raise Refused(f"padding mode {mode!r} by {ends}")
    for i in range(len(ends) // 2):
        axis = x.rank - 1 - i
        pair = (int(ends[2 * i]), int(ends[2 * i + 1]))
        x = _taken(b, name, x, axis, continued(x.shape[axis], pair, MODES[mode]))
    return x


def _shuffle(b: Placing, name: str, a: Arguments) -> Placed:
    x = activation(a["self"])
    if x.rank != 3:
        raise Refused(f"it takes (N, C, H, W), got {('N', *x.shape)}")
    attrs = DepthToSpace(int(a["upscale_factor"]), crd=True)
    return out_of(x, b.add("DepthToSpace", name, attrs, (b.as_map(x, name),)))


def _unshuffle(b: Placing, name: str, a: Arguments) -> Placed:
    x, r = activation(a["self"]), int(a["downscale_factor"])
    if x.rank != 3 or x.shape[1] % r or x.shape[2] % r:
        raise Refused(f"it takes blocks of {r} of (N, C, H, W), got {('N', *x.shape)}")
    channels, down, across = x.shape[0], x.shape[1] // r, x.shape[2] // r
    x = b.reshaped(x, (channels, down, r, across, r), name)
    x = permuted(x, (0, 2, 4, 1, 3))
    return b.reshaped(x, (channels * r * r, down, across), name)


def _upsample_linear(b: Placing, name: str, a: Arguments) -> Placed:
    """Between the cells of a map, or of a line."""
    x = activation(a.get("input", a.get("self")))
    sizes, wanted = x.shape[1:], a.get("output_size")
    scales = list(a.get("scale_factors") or ())
    if wanted is not None:
        made = numbers(wanted, len(sizes))
        scales = [m / n for m, n in zip(made, sizes, strict=True)]
    else:
        made = tuple(int(n * s) for n, s in zip(sizes, scales, strict=True))
    how = "half_pixel"
    if a["align_corners"]:
        how, scales = "align_corners", [m / n for m, n in zip(made, sizes, strict=True)]
    sides = zip(sizes, made, scales, strict=True)
    along = [between(coordinates(how, n, m, s), n) for n, m, s in sides]
    given = b.as_map(x, name)
    down, across = [(0,), *along][-2:]
    return out_of(x, b.add("ResizeLinear", name, ResizeLinear(down, across), (given,)))


def _embedding(b: Placing, name: str, a: Arguments) -> Placed:
    """Rows of a table that is no activation, by whole numbers that are an input."""
    table, ids = constant(a["weight"], "table"), in_order(activation(a["indices"]))
    params = {"table": b.constant(f"{name}.table", table)}
    made = b.add("Embedding", name, Embedding(), (Cursor(ids.name, ids.memory),), params)
    return Placed(made.name, (*ids.shape, table.shape[1]), (*ids.axes, ids.rank))


ATEN_PLACES: Mapping[str, Reader] = {
    "index_select": _index_select,
    "index": _index,
    "embedding": _embedding,
    **dict.fromkeys(("repeat", "tile"), _repeat),
    **dict.fromkeys(("pad", "constant_pad_nd"), _pad),
    "pixel_shuffle": _shuffle,
    "pixel_unshuffle": _unshuffle,
    **dict.fromkeys(("upsample_linear1d", "upsample_bilinear2d"), _upsample_linear),
}

"""Ops that move cells and compute nothing, a row each: COPIES. One kernel walks strides for all.

A row states which cells of the input its output is, as a numpy view; PAD alone writes others.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.ops.op import (
    INT8,
    NO_FUSION,
    NO_WIDENING,
    Array,
    Call,
    Fields,
    Io,
    Op,
    Params,
    Reach,
    Site,
    each_cell,
    no_accumulators,
    no_constants,
    no_limit,
    no_macs,
    no_roles,
    quant_of,
    shared_scale,
    whole_window,
    with_entry,
)
from edgeq.ops.strides import Axis, column, first_of, packed, steps_of

KERNEL, AXES = "Copy", 6
MOST_FACTOR = 4096  # of a repetition: shapes may come from an untrusted file
Shape = tuple[int, ...]
View = Callable[[Any, Array], Array]
"""(attributes, x (rows, *shape)) -> a view of x, its axes in the output's order."""
ShapeOf = Callable[[Any, Shape], Shape]
ReachOf = Callable[[Any, Io, Params, int], Reach | None]


@dataclass(frozen=True)
class Transpose:
    """Axes without the batch: output axis i is input axis perm[i]."""

    perm: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Slice:
    """On axis i `size[i]` cells from `start[i]` on, `step[i]` apart; a step may be negative."""

    start: tuple[int, ...] = (0,)
    size: tuple[int, ...] = (1,)
    step: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Expand:
    """Axes of 1 repeated until the tensor has this shape."""

    shape: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class ResizeNearest:
    """Each cell of a map (H, W, C) `factor` times (down, across)."""

    factor: tuple[int, int] = (2, 2)


@dataclass(frozen=True)
class DepthToSpace:
    """Blocks of channels become cells. crd: a channel's block together, as PixelShuffle has it."""

    block: int = 2
    crd: bool = False


@dataclass(frozen=True)
class SpaceToDepth:
    block: int = 2


@dataclass(frozen=True)
class Pad:
    """`before` and `after` count cells of an axis each; they hold the real number `value`."""

    before: tuple[int, ...] = (0,)
    after: tuple[int, ...] = (0,)
    value: float = 0.0


def _transposed(attrs: Transpose, shape: Shape) -> Shape:
    if sorted(attrs.perm) != list(range(len(shape))):
        raise ValueError(f"cannot transpose {shape} by {attrs.perm}")
    return tuple(shape[i] for i in attrs.perm)


def _sliced(attrs: Slice, shape: Shape) -> Shape:
    if not len(attrs.start) == len(attrs.size) == len(attrs.step) == len(shape):
        raise ValueError(f"cannot slice {shape} by {attrs.start}, {attrs.size}, {attrs.step}")
    for start, size, step, n in zip(attrs.start, attrs.size, attrs.step, shape, strict=True):
        last = start + (size - 1) * step
        if size < 1 or step == 0 or not (0 <= start < n and 0 <= last < n):
            raise ValueError(f"no {size} cells from {start} on, {step} apart, are in {n}")
    return attrs.size


def _slices(attrs: Slice) -> tuple[slice, ...]:
    found = []
    for start, size, step in zip(attrs.start, attrs.size, attrs.step, strict=True):
        stop = start + size * step
        found.append(slice(start, stop if stop >= 0 else None, step))
    return tuple(found)


def _expanded(attrs: Expand, shape: Shape) -> Shape:
    if len(attrs.shape) != len(shape) or max(attrs.shape, default=1) > MOST_FACTOR:
        raise ValueError(f"cannot expand {shape} to {attrs.shape}")
    if any(n not in (1, made) for n, made in zip(shape, attrs.shape, strict=True)):
        raise ValueError(f"cannot expand {shape} to {attrs.shape}")
    return attrs.shape


def _map(shape: Shape, what: str) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ValueError(f"{what} takes a map (H, W, C), got shape {shape}")
    return shape[0], shape[1], shape[2]


def _resized(attrs: ResizeNearest, shape: Shape) -> Shape:
    height, width, channels = _map(shape, "ResizeNearest")
    if not all(1 <= n <= MOST_FACTOR for n in attrs.factor):
        raise ValueError(f"cannot resize by {attrs.factor}")
    return height * attrs.factor[0], width * attrs.factor[1], channels


def _repeated(attrs: ResizeNearest, x: Array) -> Array:
    rows, height, width, channels = x.shape
    down, across = attrs.factor
    return np.broadcast_to(x[:, :, None, :, None, :], (rows, height, down, width, across, channels))


def _spread_shape(attrs: DepthToSpace, shape: Shape) -> Shape:
    height, width, channels = _map(shape, "DepthToSpace")
    if attrs.block < 1 or channels % attrs.block**2:
        raise ValueError(f"{channels} channels are no blocks of {attrs.block} x {attrs.block}")
    return height * attrs.block, width * attrs.block, channels // attrs.block**2


def _spread(attrs: DepthToSpace, x: Array) -> Array:
    rows, height, width, channels = x.shape
    block, depth = attrs.block, channels // attrs.block**2
    if attrs.crd:
        return x.reshape(rows, height, width, depth, block, block).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(rows, height, width, block, block, depth).transpose(0, 1, 3, 2, 4, 5)


def _gathered_shape(attrs: SpaceToDepth, shape: Shape) -> Shape:
    height, width, channels = _map(shape, "SpaceToDepth")
    if attrs.block < 1 or height % attrs.block or width % attrs.block:
        raise ValueError(f"a map of {height} x {width} is no blocks of {attrs.block}")
    return height // attrs.block, width // attrs.block, channels * attrs.block**2


def _gathered(attrs: SpaceToDepth, x: Array) -> Array:
    rows, height, width, channels = x.shape
    b = attrs.block
    return x.reshape(rows, height // b, b, width // b, b, channels).transpose(0, 1, 3, 2, 4, 5)


def _fields(view: View, site: Site) -> Fields:
    base = np.empty((1, *site.input_shape), np.int8)
    cells = view(site.node.attrs, base)[0]
    made = np.empty(cells.shape, np.int8)
    axes = packed(cells.shape, (steps_of(cells), steps_of(made)), AXES)
    return _copy_fields(axes, first_of(cells, base), 0, (0, 0))


def _copy_fields(
    axes: list[Axis], input_first: int, output_first: int, fill: tuple[int, int]
) -> Fields:
    return (
        ("size", column(axes, 0)),
        ("input_stride", column(axes, 1)),
        ("output_stride", column(axes, 2)),
        ("input_first", input_first),
        ("output_first", output_first),
        ("fill_size", fill[0]),
        ("fill", fill[1]),
    )


def _transposed_reach(attrs: Transpose, io: Io, params: Params, axis: int) -> Reach | None:
    """Where the axes in front stay where they are."""
    stay = attrs.perm[: axis + 1] == tuple(range(axis + 1))
    return each_cell(attrs, io, params, axis) if stay else None


def _sliced_reach(attrs: Slice, io: Io, params: Params, axis: int) -> Reach | None:
    start, step = attrs.start[axis], attrs.step[axis]
    if step < 1 or io.inputs[0].shape[:axis] != io.output.shape[:axis]:
        return None

    def alone(cells: int) -> Slice:
        first, size = (with_entry(v, axis, n) for v, n in ((attrs.start, 0), (attrs.size, cells)))
        return Slice(first, size, attrs.step)

    return Reach(alone, 1, step, -start)


def _padded_reach(attrs: Pad, io: Io, params: Params, axis: int) -> Reach | None:
    if io.inputs[0].shape[:axis] != io.output.shape[:axis]:
        return None
    bare = Pad(with_entry(attrs.before, axis, 0), with_entry(attrs.after, axis, 0), attrs.value)
    return Reach(lambda _: bare, before=attrs.before[axis])


def _copy(attrs: type, view: View, shape: ShapeOf, reach: ReachOf = whole_window) -> Op:
    def result_shape(own: object, inputs: tuple[Shape, ...], params: Mapping[str, Any]) -> Shape:
        return shape(own, inputs[0])

    def moved(own: object, x: Array) -> Array:
        cells = view(own, x)
        return np.ascontiguousarray(cells).reshape(len(x), *shape(own, x.shape[1:]))

    return _row(
        attrs,
        result_shape,
        lambda own, x, _params: moved(own, x[0]),
        lambda own, _io, x, _params: moved(own, x[0]),
        lambda site: _fields(view, site),
        reach,
    )


def _row(
    attrs: type,
    result_shape: Callable[[Any, tuple[Shape, ...], Mapping[str, Any]], Shape],
    forward: Callable[[Any, tuple[Array, ...], Params], Array],
    reference: Callable[[Any, Io, tuple[Array, ...], Params], Array],
    fields: Callable[[Site], Fields],
    reach: ReachOf,
) -> Op:
    return Op(
        name=attrs.__name__,
        attrs=attrs,
        arity=1,
        dtypes=INT8,
        result_shape=result_shape,
        float_forward=forward,
        reference=reference,
        macs=no_macs,
        roles=no_roles,
        scale=shared_scale,
        finest=no_limit,
        fuses=NO_FUSION,
        weight_axis=None,
        widens=NO_WIDENING,
        lower=no_constants,
        accumulators=no_accumulators,
        reach=reach,
        memory=None,
        code=Call(KERNEL, "edgeq_copy_params", fields),
    )


def _padded_shape(
    attrs: Pad, inputs: tuple[Shape, ...], params: Mapping[str, Any]
) -> tuple[int, ...]:
    both = (*attrs.before, *attrs.after)
    if not len(attrs.before) == len(attrs.after) == len(inputs[0]):
        raise ValueError(f"cannot pad {inputs[0]} by {attrs.before} and {attrs.after}")
    if not all(0 <= n <= MOST_FACTOR for n in both) or not math.isfinite(attrs.value):
        raise ValueError(f"cannot pad by {both} with {attrs.value}")
    return tuple(a + n + b for a, n, b in zip(attrs.before, inputs[0], attrs.after, strict=True))


def _padded(attrs: Pad, x: Array, value: float) -> Array:
    amounts = [(0, 0), *zip(attrs.before, attrs.after, strict=True)]
    return np.pad(x, amounts, constant_values=np.asarray(value, x.dtype))


def pad_code(attrs: Pad, io: Io) -> int:
    """The code that stands nearest to the padding's value."""
    quant = quant_of(io.output)
    steps = attrs.value / quant.per_tensor
    return int(np.clip(np.round(min(max(steps, -512.0), 512.0)) + quant.zero_point, -128, 127))


def _pad_fields(site: Site) -> Fields:
    attrs, shape = site.node.attrs, site.input_shape
    base = np.empty(site.output_shape, np.int8)
    inner = base[tuple(slice(a, a + n) for a, n in zip(attrs.before, shape, strict=True))]
    given = np.empty(shape, np.int8)
    axes = packed(shape, (steps_of(given), steps_of(inner)), AXES)
    fill = (site.output_size, pad_code(attrs, site.io))
    return _copy_fields(axes, 0, first_of(inner, base), fill)


def _pad_forward(attrs: Pad, x: tuple[Array, ...], params: Params) -> Array:
    return _padded(attrs, x[0], attrs.value)


def _pad_reference(attrs: Pad, io: Io, x: tuple[Array, ...], params: Params) -> Array:
    return _padded(attrs, x[0], pad_code(attrs, io))


COPIES: tuple[Op, ...] = (
    _copy(
        Transpose,
        lambda a, x: x.transpose(0, *(i + 1 for i in a.perm)),
        _transposed,
        _transposed_reach,
    ),
    _copy(Slice, lambda a, x: x[(slice(None), *_slices(a))], _sliced, _sliced_reach),
    _copy(Expand, lambda a, x: np.broadcast_to(x, (len(x), *a.shape)), _expanded),
    _copy(ResizeNearest, _repeated, _resized),
    _copy(DepthToSpace, _spread, _spread_shape),
    _copy(SpaceToDepth, _gathered, _gathered_shape),
    _row(Pad, _padded_shape, _pad_forward, _pad_reference, _pad_fields, _padded_reach),
)

"""edgeq_conv_2d_part: the cells, windows and places of parts beside what numpy's slices say."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgeq.kernels.parts import Sampled
from edgeq.ops.window import output_size, spanned
from tests.kernels.differential.case import (
    Address,
    Call,
    Case,
    Const,
    Out,
    Pointer,
    Result,
    Struct,
)
from tests.kernels.differential.convolutions import Geometry
from tests.kernels.samples import Array

WEIGHT_BYTES, ZERO_POINT = 24, 3
ENDS = (ZERO_POINT, -7, -100, 101)


@dataclass(frozen=True)
class Whole:
    """A convolution of g.channels channels and g.outputs outputs a group."""

    g: Geometry
    dilation: tuple[int, int]
    groups: int = 1

    @property
    def out(self) -> tuple[int, int]:
        kernel = spanned(self.g.kernel, self.dilation)
        return output_size(self.g.size, kernel, self.g.stride, self.g.padding)

    @property
    def axes(self) -> tuple[Sampled, Sampled]:
        g, d = self.g, self.dilation
        ends = zip(g.size, self.out, g.stride, d, g.padding[:2], g.kernel, strict=True)
        down, across = (Sampled(*axis) for axis in ends)
        return down, across

    @property
    def window(self) -> Struct:
        g = self.g
        channels = g.channels * self.groups
        return Struct((*g.size, channels, *self.out, *g.kernel, *g.stride, *g.padding[:2]))


SAME = (1, 1, 1, 1)
WHOLES = (
    Whole(Geometry((5, 4), 3, (3, 3), (1, 1), SAME, 2), (1, 1), 3),  # groups alone
    Whole(Geometry((6, 7), 8, (3, 3), (1, 1), (2, 3, 2, 3), 5), (2, 3)),  # dilation alone
    Whole(Geometry((9, 8), 5, (3, 2), (2, 3), (3, 0, 2, 1), 4), (3, 2), 2),  # strides beside it
    Whole(Geometry((13, 1), 6, (3, 1), (4, 1), (8, 0, 0, 0), 7), (6, 1)),  # they share a factor
    Whole(Geometry((3, 3), 4, (3, 3), (1, 1), (5, 5, 5, 5), 3), (5, 5), 2),  # windows of padding
    Whole(Geometry((2, 3), 4, (2, 2), (1, 1), (6, 1, 0, 4), 3), (4, 2), 2),  # no cell down
    Whole(Geometry((3, 2), 2, (2, 2), (1, 1), (1, 7, 4, 0), 3), (2, 4), 2),  # none across
    Whole(Geometry((2, 9), 1, (2, 2), (1, 1), (0, 4, 0, 0), 1), (1, 4), 4),
    Whole(Geometry((4, 4), 2, (1, 3), (1, 2), (0, 2, 0, 2), 9), (1, 2)),  # apart is 1
)  # fmt: skip


def cases() -> Iterator[Case]:
    for seed, whole in enumerate(WHOLES):
        down, across = whole.axes
        for group in range(whole.groups):
            for row in range(down.phases):
                for column in range(across.phases):
                    yield _case(whole, (group, row, column), seed, streamed=row % 2 == 1)


def _case(whole: Whole, at: tuple[int, int, int], seed: int, *, streamed: bool) -> Case:
    """streamed: biases, multipliers and shifts stand among the weights."""
    g, (group, row, column), (down, across) = whole.g, at, whole.axes
    rng = np.random.default_rng((seed, *at))
    x = rng.integers(-128, 128, (*g.size, g.channels * whole.groups)).astype(np.int8)
    cells = _cells(whole, x, at)
    made = (_outputs(whole.out[0], row, down), _outputs(whole.out[1], column, across))
    y = rng.integers(-128, 128, (*whole.out, g.outputs * whole.groups)).astype(np.int8)
    part = rng.integers(-128, 128, (*made, g.outputs)).astype(np.int8)
    wanted = y.copy()
    channels = slice(group * g.outputs, (group + 1) * g.outputs)
    wanted[row :: down.apart, column :: across.apart, channels] = part
    weight = Const(np.zeros(WEIGHT_BYTES * whole.groups, np.int8))
    outputs = g.outputs * whole.groups
    ends = [Const(np.zeros(outputs, kind)) for kind in (np.int32, np.int32, np.int8)]
    first, given = group * g.outputs, [None if streamed else end for end in ends]
    window = (
        *cells.shape[:2], g.channels, *made, *g.kernel, down.stride, across.stride,
        down.phase(row).padding, across.phase(column).padding,
    )  # fmt: skip
    pointers = [Address(end, first * width) for end, width in zip(given, (4, 4, 1), strict=True)]
    said = Struct((
        Address(weight, group * WEIGHT_BYTES),
        *pointers,
        Struct(tuple(Result(value) for value in window)),
        Result(g.outputs),
        *(Result(n) for n in ENDS),
    ))  # fmt: skip
    layer = Pointer((Struct((weight, *given, whole.window, outputs, *ENDS)),))
    sampled = [Struct((a.dilation, a.apart, a.stride)) for a in (down, across)]
    parts = Pointer((Struct((g.channels, g.outputs, WEIGHT_BYTES, *sampled)),))
    place = (layer, parts, *at)
    calls = (
        Call("edgeq_conv_2d_part", (*place, Const(x, 1), Out(cells), Pointer((said,)))),
        Call("edgeq_conv_2d_put_part", (*place, Const(part), Out(wanted, y, 1))),
    )
    return Case(f"edgeq_conv_2d_part {whole}, {at}", calls)


def _cells(whole: Whole, x: Array, at: tuple[int, int, int]) -> Array:
    """Of the map: every so many from the part's first inside; one of padding where none is."""
    g, (group, row, column) = whole.g, at
    first = [n * g.stride[i] - g.padding[i] for i, n in enumerate((row, column))]
    down, across = (f if f >= 0 else f % d for f, d in zip(first, whole.dilation, strict=True))
    channels = slice(group * g.channels, (group + 1) * g.channels)
    cells = x[down :: whole.dilation[0], across :: whole.dilation[1], channels]
    return cells if cells.size else np.full((1, 1, g.channels), ZERO_POINT, np.int8)


def _outputs(size: int, first: int, axis: Sampled) -> int:
    return len(range(first, size, axis.apart))

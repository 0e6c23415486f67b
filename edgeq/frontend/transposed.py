"""A transposed convolution as a convolution of the map with zeros between its cells."""

from collections.abc import Sequence
from typing import Protocol

from edgeq.ops.copies import Pad, Slice
from edgeq.ops.op import Array

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]


class Making(Protocol):
    """A graph that grows, whatever file it is read from."""

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Of a tensor."""
        ...

    def reshaped(self, name: str, shape: Sequence[int]) -> str:
        """The tensor under another shape."""
        ...

    def add(self, op: str, attrs: object, sources: Sequence[str]) -> str:
        """What a new node makes."""
        ...


def turned(weight: Array, groups: int) -> Array:
    """Filters (inputs, outputs of a group, height, width) as those of a convolution: turned around,
    (outputs, height, width, inputs of a group).
    """
    parts = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])[..., ::-1, ::-1]
    placed = parts.transpose(0, 2, 3, 4, 1)
    return placed.reshape(groups * weight.shape[1], *weight.shape[2:], len(weight) // groups)


def _spread(g: Making, name: str, cells: int, values: int, stride: int) -> str:
    """Zeros behind each of so many cells; an axis at a time: no interpreter pads five."""
    if stride == 1:
        return name
    name = g.reshaped(name, (cells, 1, values))
    return g.add("Pad", Pad((0, 0, 0), (0, stride - 1, 0)), (name,))


def stuffed(
    g: Making, name: str, kernel: tuple[int, ...], stride: Pair, pads: Padding, more: Pair
) -> tuple[str, Padding]:
    """The map with stride - 1 zeros behind each cell, cut where padding would be negative; and the
    padding that a window over it has.
    """
    height, width, channels = g.shape_of(name)
    if stride != (1, 1):
        name = _spread(g, name, height, width * channels, stride[0])
        name = _spread(g, name, height * stride[0] * width, channels, stride[1])
        name = g.reshaped(name, (height * stride[0], width * stride[1], channels))
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

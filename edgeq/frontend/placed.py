"""Tensors of a channels-first framework while a graph is read: where each logical axis lies.

The device holds maps channels last. Instead of transposing, a tensor remembers how its axes are
arranged; a permutation only renames them, a reshape that keeps runs of axes together is free. A map
that is flattened stays: the weights behind it move. Only what is left is a transposed copy.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.ir.c_names import unique
from edgeq.ops.copies import Transpose
from edgeq.ops.graph_builder import Builder, Cursor
from edgeq.ops.op import Array
from edgeq.ops.reshape import Reshape

Shape = tuple[int, ...]
MAP = (1, 2, 0)  # (C, H, W) as (H, W, C)
LINE = (-1, 1, 0)  # (C, L) as (1, L, C)


@dataclass(frozen=True)
class Placed:
    """`shape`: as the framework has it, without the batch. `axes`: the logical axis of each axis in
    memory, -1 for one of size 1 that was put in. `order`, of a flattened tensor only: the logical
    position of each value in memory.
    """

    name: str
    shape: Shape
    axes: Shape
    order: Array | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def memory(self) -> Shape:
        """The shape in memory."""
        return memory_of(self.shape, self.axes)

    @property
    def long_axes(self) -> Shape:
        """The logical axes of more than one value, in the order of memory."""
        return tuple(a for a in self.axes if a >= 0 and self.shape[a] > 1)


def memory_of(shape: Sequence[int], axes: Sequence[int]) -> Shape:
    """The shape in memory of a logical shape."""
    return tuple(1 if a < 0 else shape[a] for a in axes)


@dataclass
class Placing(Builder):
    """A Builder that keeps names apart and arranges what it hands on."""

    used: set[str] = field(default_factory=set)

    def fresh(self, name: str) -> str:
        """The name, or with a number behind it where it is taken."""
        return unique(name, self.used, "{}.{}".format)

    def enter(self, name: str, shape: Shape, axes: Shape) -> Placed:
        """The graph's input."""
        self.input(name, memory_of(shape, axes))
        return Placed(name, shape, axes)

    def arranged(self, x: Placed, axes: Shape, path: str) -> Cursor:
        """`x` with its axes in that order. A copy only where values must move."""
        if x.order is not None:
            raise Refused("it reads a flattened map, whose values lie in another order")
        moved = replace(x, axes=axes)
        if x.long_axes != moved.long_axes:
            x = self._transposed(x, moved.long_axes, path)
        return self._in_shape(x, moved.memory, path)

    def _transposed(self, x: Placed, long_axes: Shape, path: str) -> Placed:
        """A copy with the long axes in that order: where nothing behind it can take the other."""
        given = self._in_shape(x, tuple(x.shape[a] for a in x.long_axes), path)
        perm = tuple(x.long_axes.index(a) for a in long_axes)
        made = self.add("Transpose", self.fresh(f"{path}.transpose"), Transpose(perm), (given,))
        short = tuple(a for a in range(x.rank) if x.shape[a] == 1)
        name = self._in_shape(
            Placed(made.name, made.shape, tuple(range(len(made.shape)))),
            (*(1,) * len(short), *made.shape),
            path,
        ).name
        return Placed(name, x.shape, (*short, *long_axes))

    def _in_shape(self, x: Placed, memory: Shape, path: str) -> Cursor:
        """The same bytes under another shape."""
        if x.memory == memory:
            return Cursor(x.name, memory)
        last = self.nodes[-1] if self.nodes else None
        source = Cursor(x.name, x.memory)
        if last is not None and last.op == "Reshape" and last.outputs == (x.name,):
            source = Cursor(last.inputs[0], self.tensors[last.inputs[0]].shape)
        return self.add("Reshape", self.fresh(f"{path}.reshape"), Reshape(memory), (source,))

    def as_map(self, x: Placed, path: str) -> Cursor:
        """(H, W, C) of (C, H, W), (1, L, C) of (C, L)."""
        if x.rank not in (2, 3):
            raise Refused(f"it takes (N, C, H, W) or (N, C, L), got {('N', *x.shape)}")
        return self.arranged(x, MAP if x.rank == 3 else LINE, path)

    def as_rows(self, x: Placed, path: str) -> Cursor:
        """Rows of features along the last logical axis, as a map."""
        if x.rank == 1:
            return self.arranged(x, (-1, -1, 0), path)
        if x.rank not in (2, 3):
            raise Refused(f"it takes at most three axes, got {x.shape}")
        *rows, last = range(x.rank)
        held = [a for a in x.axes if a >= 0 and a != last]  # rows may lie in any order
        return self.arranged(x, (*(-1,) * (2 - len(rows)), *held, last), path)

    def rows_axes(self, x: Placed) -> Shape:
        """The arrangement that `as_rows` gives."""
        *rows, last = range(x.rank)
        held = [a for a in x.axes if a >= 0 and a != last]
        return (*(-1,) * (2 - len(rows)), *held, last)

    def reshaped(self, x: Placed, shape: Shape, path: str) -> Placed:
        """A view of another logical shape."""
        if shape == x.shape:
            return x
        if x.order is not None:
            raise Refused("it unfolds a flattened map, whose values lie in another order")
        if math.prod(x.shape) != math.prod(shape):
            raise Refused(f"it views {('N', *x.shape)} as {('N', *shape)}")
        runs = _runs(x.shape, shape)
        axes = _kept_together(x, runs)
        if axes is not None:
            made = Placed(x.name, shape, _with_short(shape, axes))
            cursor = self._in_shape(x, made.memory, path)
            return replace(made, name=cursor.name)
        if len(shape) != 1:
            together = dict.fromkeys(
                axis for a in x.long_axes for run in runs if a in run[0] for axis in run[0]
            )
            return self.reshaped(self._transposed(x, tuple(together), path), shape, path)
        places = np.arange(int(np.prod(x.shape))).reshape(x.shape)
        order = places.transpose([a for a in x.axes if a >= 0]).ravel()
        cursor = self._in_shape(x, shape, path)
        return Placed(cursor.name, shape, (0,), np.ascontiguousarray(order))


def permuted(x: Placed, places: Sequence[int]) -> Placed:
    """Logical axis k becomes what axis places[k] was; nothing moves."""
    new = {old: k for k, old in enumerate(places)}
    return replace(
        x,
        shape=tuple(x.shape[p] for p in places),
        axes=tuple(new[a] if a >= 0 else -1 for a in x.axes),
    )


def _runs(before: Shape, after: Shape) -> list[tuple[Shape, Shape]]:
    """The least runs of long axes that hold the same values: (before, after) each."""
    a = [i for i, n in enumerate(before) if n > 1]
    b = [i for i, n in enumerate(after) if n > 1]
    runs, i, j = [], 0, 0
    while i < len(a):
        start = (i, j)
        left, right = before[a[i]], after[b[j]]
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left, i = left * before[a[i]], i + 1
            else:
                right, j = right * after[b[j]], j + 1
        runs.append((tuple(a[start[0] : i]), tuple(b[start[1] : j])))
    return runs


def _kept_together(x: Placed, runs: list[tuple[Shape, Shape]]) -> list[int] | None:
    """The new long axes in the order of memory; None where a run is torn apart there."""
    held, made = list(x.long_axes), list[int]()
    while held:
        run = next(r for r in runs if held[0] in r[0])
        if tuple(held[: len(run[0])]) != run[0]:
            return None
        held = held[len(run[0]) :]
        made += run[1]
    return made


def _with_short(shape: Shape, long_axes: list[int]) -> Shape:
    """All axes: in logical order where the long ones are, else those of size 1 first."""
    if long_axes == sorted(long_axes):
        return tuple(range(len(shape)))
    return (*(a for a in range(len(shape)) if shape[a] == 1), *long_axes)

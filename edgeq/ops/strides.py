"""Where cells lie: axes and strides that a kernel walks, read off numpy's own views."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgeq.ops.op import Array

Shape = tuple[int, ...]
Axis = tuple[int, ...]
"""(size, stride of the first tensor, stride of the second, ...)"""


def steps_of(view: Array) -> Shape:
    """Strides of an int8 view, in cells."""
    return tuple(int(s) for s in view.strides)


def first_of(view: Array, base: Array) -> int:
    """Cells from the beginning of `base` to that of a view of it."""
    at = view.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return int(at)


def packed(size: Sequence[int], strides: Sequence[Sequence[int]], axes: int) -> list[Axis]:
    """As few axes as walk the same cells in order, with axes of 1 in front; ValueError for more
    than `axes`.
    """
    found: list[Axis] = []
    for axis in zip(size, *strides, strict=True):
        if axis[0] == 1:
            continue
        if found and all(a == b * axis[0] for a, b in zip(found[-1][1:], axis[1:], strict=True)):
            found[-1] = (found[-1][0] * axis[0], *axis[1:])
        else:
            found.append(axis)
    if len(found) > axes:
        raise ValueError(f"it walks {len(found)} axes; the kernel has {axes}")
    return [(1, *[0] * len(strides))] * (axes - len(found)) + found


def column(axes: Sequence[Axis], which: int) -> npt.NDArray[np.int32]:
    """The sizes (0) or the strides of a tensor (1, 2, ...) of all axes."""
    return np.array([axis[which] for axis in axes], np.int32)


def with_rank(x: Array, rank: int) -> Array:
    """Rows (rows, *shape) with axes of 1 in front of the shape: what broadcasting wants."""
    return x.reshape(x.shape[0], *[1] * (rank - x.ndim + 1), *x.shape[1:])

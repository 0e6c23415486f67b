"""A function of one number that is known by its table alone: a code for each code."""

from dataclasses import dataclass

import numpy as np

from edgeq.ops.lookup import lookup, rounded
from edgeq.ops.op import Array


@dataclass(frozen=True)
class Table:
    """`codes` (256,): the answers to codes -128 to 127. Scales and zero points: of the input and of
    the answers. Between two codes the answer is the nearer one's.
    """

    codes: tuple[int, ...] = tuple(range(-128, 128))
    scales: tuple[float, float] = (1 / 128, 1 / 128)
    zero_points: tuple[int, int] = (0, 0)


def _real(attrs: Table, x: Array) -> Array:
    (given, made), (zero_in, zero_out) = attrs.scales, attrs.zero_points
    place = np.clip(np.round(x / given) + zero_in, -128, 127).astype(np.int64) + 128
    codes = np.array(attrs.codes, np.int64)
    return np.asarray((codes[place] - zero_out) * made, x.dtype)


OP = lookup(Table, _real, rounded(_real))

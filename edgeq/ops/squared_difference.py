"""The square of a difference of two tensors that broadcast, or of one and a constant, as TensorFlow
Lite Micro's SQUARED_DIFFERENCE: both centred with 7 bits of headroom to twice the larger scale, so
that the square stays inside int32.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgeq.ops.broadcast import (
    SUM,
    SUM_CONSTANT,
    Rule,
    Signs,
    operands,
    row,
    signed_sum,
    sum_fields,
)
from edgeq.ops.fixed_point import requantize
from edgeq.ops.op import NO_FUSION, Accumulator, Array, Io, Op, Params, Site

LEFT_SHIFT = 7
LARGEST = (255 << LEFT_SHIFT) ** 2  # both operands arrive at half their 255 << 7


@dataclass(frozen=True)
class SquaredDifference:
    sign: ClassVar[Signs] = (1, -1)
    activation: ClassVar[str] = "none"


@dataclass(frozen=True)
class SquaredDifferenceConstant:
    """(x - other)^2."""

    sign: ClassVar[Signs] = (1, -1)
    activation: ClassVar[str] = "none"


def _forward(attrs: object, x: tuple[Array, ...], params: Params) -> Array:
    a, b = operands(x, params)
    return np.asarray(((a - b) ** 2).astype(a.dtype))


def _reference(
    attrs: SquaredDifference | SquaredDifferenceConstant,
    io: Io,
    x: tuple[Array, ...],
    params: Params,
) -> Array:
    apart = signed_sum(attrs.sign, x, params, LEFT_SHIFT)
    m, s, zero = (params[name][2] for name in ("multiplier", "shift", "zero_point"))
    return requantize(apart * apart, m, s, int(zero), -128, 127)


def _multipliers(a: float, b: float, out: float) -> list[float]:
    twice = 2 * max(a, b)
    return [a / twice, b / twice, twice**2 / (2 ** (2 * LEFT_SHIFT) * out)]


def _accumulators(site: Site) -> tuple[Accumulator, ...]:
    """The square alone."""
    multiplier, shift = site.param("multiplier")[2:], site.param("shift")[2:]
    return (Accumulator(np.array([LARGEST]), multiplier, shift),)


SQUARES = Rule(
    forward=_forward,
    reference=_reference,
    multipliers=_multipliers,
    accumulators=_accumulators,
    fields=sum_fields,
    finest=lambda a, b: 8 * max(a, b) ** 2 / 2 ** (2 * LEFT_SHIFT),  # a multiplier of a half
    fuses=NO_FUSION,
)
ROWS: tuple[Op, ...] = (
    row(SquaredDifference, "SquaredDifference", SUM, SQUARES, constant=False),
    row(
        SquaredDifferenceConstant,
        "SquaredDifferenceConstant",
        SUM_CONSTANT,
        SQUARES,
        constant=True,
    ),
)

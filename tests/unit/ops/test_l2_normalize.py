"""Unit norms and squared differences by hand, and the ends of their sums."""

import numpy as np
import pytest

from edgeq.ir import Quant, TensorType
from edgeq.ops import OPS, l2_normalize
from edgeq.ops.fixed_point import quantize_multipliers
from edgeq.ops.gemmlowp import inverse_root
from edgeq.ops.l2_normalize import MOST_FEATURES, L2Normalize
from edgeq.ops.op import Io
from edgeq.ops.squared_difference import SquaredDifference


def unit(x: list[int], zero_point: int) -> list[int]:
    given = TensorType((len(x),), "int8", Quant((0.1,), zero_point))
    io = Io((given,), TensorType((len(x),), "int8", l2_normalize.OUTPUT_QUANT))
    row = np.array([x], np.int8)
    return list(OPS["L2Normalize"].reference(L2Normalize(), io, (row,), {})[0])


def test_a_triangle_of_3_4_5() -> None:
    assert unit([13, 14, 10], 10) == [77, 102, 0]  # 0.6 and 0.8 of 128


def test_nothing_stays_nothing_and_one_step_is_the_whole() -> None:
    assert unit([5, 5, 5], 5) == [0, 0, 0]
    assert unit([6, 5], 5) == [127, 0]
    assert unit([4, 5], 5) == [-128, 0]


def test_the_largest_sum_stays_inside_int32() -> None:
    row = OPS["L2Normalize"]
    assert MOST_FEATURES * 255**2 < 2**31 <= (MOST_FEATURES + 1) * 255**2
    assert row.result_shape(L2Normalize(), ((MOST_FEATURES,),), {}) == (MOST_FEATURES,)
    with pytest.raises(ValueError, match="33,026 features; 33,025 are the most"):
        row.result_shape(L2Normalize(), ((MOST_FEATURES + 1,),), {})


def test_the_inverse_root_is_one_over_the_root() -> None:
    values = np.unique(np.r_[np.arange(1, 3000), 2 ** np.arange(31), 2**31 - 1])
    multiplier, shift = inverse_root(values)
    np.testing.assert_allclose(multiplier * 2.0 ** (shift - 31), values**-0.5, rtol=1e-5)


def squared(a: int, b: int, scales: tuple[float, float, float]) -> int:
    quants = [Quant((s,), z) for s, z in zip(scales, (1, -2, -128), strict=True)]
    twice = 2 * max(scales[:2])
    real = [scales[0] / twice, scales[1] / twice, twice**2 / (2**14 * scales[2])]
    multiplier, shift = quantize_multipliers(real)
    zero_point = np.array([q.zero_point for q in quants])
    params = {"multiplier": multiplier, "shift": shift, "zero_point": zero_point}
    kinds = [TensorType((1,), "int8", q) for q in quants]
    io, x = Io((kinds[0], kinds[1]), kinds[2]), tuple(np.array([[v]], np.int8) for v in (a, b))
    return int(OPS["SquaredDifference"].reference(SquaredDifference(), io, x, params)[0, 0])


def test_a_square_of_a_difference() -> None:
    assert squared(11, 3, (0.5, 0.5, 0.25)) == 25 - 128  # (5 - 2.5)^2 / 0.25
    assert squared(3, 11, (0.5, 0.5, 0.25)) == 121 - 128  # (1 - 6.5)^2 / 0.25, rounded at a half
    assert squared(-128, 127, (0.5, 0.5, 0.25)) == 127

"""fixed_point.py against exact Python integers and fractions, ends of every range included."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ops import fixed_point as fp

int32s = st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300)
multipliers = st.integers(2**30, 2**31 - 1) | st.just(0)
table_starts = st.sampled_from([(8 + i) << 27 for i in range(24)])


@pytest.fixture(autouse=True)
def overflow_is_an_error() -> Iterator[None]:
    """numpy tells of an overflow by a warning only: here it stops the test."""
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        yield


def half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


def half_away(x: Fraction) -> int:
    return half_up(x) if x >= 0 else -half_up(-x)


def exact_multiply(acc: int, multiplier: int, shift: int) -> int:
    """gemmlowp's two roundings, on fractions."""
    high = half_up(Fraction((acc << max(shift, 0)) * multiplier, 2**31))
    return half_away(Fraction(high, 2 ** max(-shift, 0)))


@given(real=st.floats(2.0**-31, 2.0**29))
def test_a_multiplier_holds_31_bits_of_the_real_number(real: float) -> None:
    multiplier, shift = fp.quantize_multiplier(real)
    assert 2**30 <= multiplier < 2**31
    error = abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) - Fraction(real))
    assert error <= Fraction(2) ** (shift - 32)


@given(real=st.floats(0, 1e-6) | st.floats(1e6, 1e308))
def test_a_multiplier_out_of_range_saturates(real: float) -> None:
    multiplier, shift = fp.quantize_multiplier(real)
    assert 0 <= multiplier <= fp.INT32_MAX
    assert -31 <= shift <= 30
    if real >= 2.0**30:
        assert (multiplier, shift) == (fp.INT32_MAX, 30)
    if real < 2.0**-33:
        assert (multiplier, shift) == (0, 0)


def test_a_multiplier_that_rounds_to_the_next_power_of_two_moves_its_shift() -> None:
    assert fp.quantize_multiplier(1.0 - 2.0**-40) == (2**30, 1)


@pytest.mark.parametrize("real", [-1.0, float("nan"), float("inf")])
def test_a_multiplier_refuses_what_is_no_scale(real: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        fp.quantize_multiplier(real)


def test_multipliers_of_a_vector_are_those_of_its_elements() -> None:
    reals = np.array([0.0, 0.3, 1.0, 7.5e-4, 123.0])
    multiplier, shift = fp.quantize_multipliers(reals)
    assert multiplier.dtype == shift.dtype == np.int32
    assert list(zip(multiplier, shift, strict=True)) == [fp.quantize_multiplier(r) for r in reals]


@given(a=int32s, b=st.integers(0, 2**31 - 1))
def test_srdhm(a: int, b: int) -> None:
    assert int(fp.srdhm(np.array(a), np.array(b))) == half_up(Fraction(a * b, 2**31))


@given(x=int32s, exponent=st.integers(0, 31))
def test_rdp_rounds_half_away_from_zero(x: int, exponent: int) -> None:
    wanted = half_away(Fraction(x, 2**exponent))
    assert int(fp.rdp(np.array(x), np.array(exponent))) == wanted


@given(acc=int32s, multiplier=multipliers, shift=st.integers(-31, 30))
def test_multiply_by_quantized_multiplier(acc: int, multiplier: int, shift: int) -> None:
    acc >>= max(shift, 0)
    got = fp.multiply_by_quantized_multiplier(np.array(acc), np.array(multiplier), np.array(shift))
    assert int(got) == exact_multiply(acc, multiplier, shift)


@pytest.mark.parametrize(("acc", "shift"), [(2**31, 0), (2**30, 1), (-(2**30) - 1, 1), (2, 30)])
def test_an_accumulator_that_leaves_int32_is_an_error(acc: int, shift: int) -> None:
    with pytest.raises(OverflowError, match="int32"):
        fp.multiply_by_quantized_multiplier(np.array([acc]), np.array([2**30]), np.array([shift]))


@given(
    acc=st.lists(int32s, min_size=3, max_size=3),
    multiplier=st.lists(multipliers, min_size=3, max_size=3),
    shift=st.lists(st.integers(-31, 0), min_size=3, max_size=3),
    zero_point=st.integers(-128, 127),
    bounds=st.tuples(st.integers(-128, 127), st.integers(-128, 127)).map(sorted),
)
def test_requantize_per_channel(
    acc: list[int], multiplier: list[int], shift: list[int], zero_point: int, bounds: list[int]
) -> None:
    low, high = bounds
    got = fp.requantize(
        np.array([acc]), np.array(multiplier), np.array(shift), zero_point, low, high
    )
    wanted = [
        min(max(exact_multiply(a, m, s) + zero_point, low), high)
        for a, m, s in zip(acc, multiplier, shift, strict=True)
    ]
    assert got.dtype == np.int8
    assert got[0].tolist() == wanted


@given(x=st.integers(0, 2**64 - 1), drop=st.integers(0, 64))
def test_leading_zeros(x: int, drop: int) -> None:
    x >>= drop
    assert int(fp.leading_zeros(np.array([x], np.uint64), 64)[0]) == 64 - x.bit_length()
    low = x & 0xFFFFFFFF
    assert int(fp.leading_zeros(np.array([low], np.uint64), 32)[0]) == 32 - low.bit_length()


@given(
    d=st.integers(2**30, 2**32 - 1)
    | st.tuples(table_starts, st.sampled_from((0, 1, 2**26, 2**27 - 1))).map(sum)
)
def test_reciprocal_square_root_is_within_2_to_the_minus_27(d: int) -> None:
    got = int(fp.rsqrt_q30(np.array([d], np.uint64))[0])
    exact = math.isqrt((2**60 << 32 << 64) // d) / 2**32  # 2^30 / sqrt(d / 2^32)
    assert abs(got - exact) / exact < 2.0**-27
    assert got < 2**32


@given(d=st.integers(2**31, 2**32 - 1) | st.sampled_from((2**31, 2**31 + 1, 2**32 - 1)))
def test_reciprocal_is_within_2_to_the_minus_28(d: int) -> None:
    got = int(fp.reciprocal_q30(np.array([d], np.uint64))[0])
    exact = Fraction(2**62, d)
    assert abs(got - exact) / exact < Fraction(1, 2**28)
    assert got <= 2**31


@given(scale=st.floats(1e-9, 1e3))
def test_the_exponential_table(scale: float) -> None:
    table = fp.exp_table(scale)
    assert table.dtype == np.uint16
    assert table[0] == 2**15
    assert (np.diff(table.astype(int)) <= 0).all()
    exact = [math.exp(-d * scale) * 2**15 for d in range(256)]
    assert np.abs(table - np.array(exact)).max() <= 0.5 + 1e-9


def exact_softmax(q: list[int], table: Callable[[int], int]) -> list[float]:
    e = [table(max(q) - v) for v in q]
    return [v / sum(e) * 2**15 for v in e]


@given(q=st.lists(st.integers(-128, 127), min_size=1, max_size=40), scale=st.floats(1e-4, 2.0))
def test_softmax_is_within_one_unit_of_its_table(q: list[int], scale: float) -> None:
    table = fp.exp_table(scale)
    got = fp.softmax_q15(np.array([q], np.int8), table)[0]
    wanted = exact_softmax(q, lambda d: int(table[d]))
    assert np.abs(got - np.array(wanted)).max() <= 0.5 + 2.0**-10
    assert got.min() >= 0
    assert got.max() <= 2**15


def test_softmax_of_one_class_and_of_the_largest_number_of_classes() -> None:
    table = fp.exp_table(0.1)
    assert fp.softmax_q15(np.array([[-7]], np.int8), table).tolist() == [[2**15]]
    even = fp.softmax_q15(np.zeros((1, 65536), np.int8), table)
    assert set(even.ravel().tolist()) <= {0, 1}

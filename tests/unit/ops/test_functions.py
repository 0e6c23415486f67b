"""The functions of one number: fixed-point forms against real ones, and a value everywhere."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ops import gemmlowp
from edgeq.ops.functions import FUNCTIONS, LEAST_OF_LOG, Elu, _elu
from edgeq.ops.lookup import rounded_in_float32

STEPS = np.arange(-255, 256)
SCALES = st.floats(2.0**-20, 8.0, width=32)


@given(SCALES)
def test_sigmoid_and_tanh_are_the_real_ones_within_a_step(scale: float) -> None:
    real = STEPS * scale
    sigmoid = gemmlowp.on_q4_27(STEPS, scale, gemmlowp.logistic, 8)
    tanh = gemmlowp.on_q4_27(STEPS, scale, gemmlowp.tanh, 7)
    inside = np.abs(STEPS) < np.floor(7 / scale)  # from there on it may saturate
    np.testing.assert_allclose(sigmoid[inside], 256 / (1 + np.exp(-real[inside])), atol=0.51)
    np.testing.assert_allclose(tanh[inside], 128 * np.tanh(real[inside]), atol=0.51)
    assert (np.diff(tanh) >= 0).all()


def test_logistic_and_tanh_in_full_precision() -> None:
    a = np.arange(-15 << 27, 15 << 27, 7_654_321)
    real = a / 2.0**27
    assert np.abs(gemmlowp.logistic(a) / 2.0**31 - 1 / (1 + np.exp(-real))).max() < 1e-7
    assert np.abs(gemmlowp.tanh(a) / 2.0**31 - np.tanh(real)).max() < 2e-7


def test_half_a_step_is_rounded_away_from_zero() -> None:
    x = np.array([-3, -1, 0, 1, 3])
    steps = rounded_in_float32(lambda _, v: v)(Elu(), x, 0.5, 1.0)
    np.testing.assert_array_equal(steps, [-2, -1, 0, 1, 2])
    assert _elu(Elu(2.0), np.array([-1e30], np.float32)) == -2


@pytest.mark.parametrize("op", FUNCTIONS, ids=lambda op: op.name)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_every_function_has_a_number_for_every_number(op: object, x: float) -> None:
    given = np.array([[x]], np.float32)
    y = op.float_forward(op.attrs(), (given,), {})  # type: ignore[attr-defined]
    assert np.isfinite(y).all() or abs(x) > 1e12  # of what is cubed
    assert not np.isnan(y).any()
    assert y.dtype == np.float32


def test_a_logarithm_ends_where_it_says() -> None:
    log = next(op for op in FUNCTIONS if op.name == "Log")
    got = log.float_forward(None, (np.array([0.0, -5.0]),), {})
    np.testing.assert_allclose(got, np.log(LEAST_OF_LOG))

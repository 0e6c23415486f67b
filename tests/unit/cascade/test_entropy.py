"""The entropy in integers: by hand, beside the real one, and its ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeq.ops.signals import ENTROPY

LOGITS = hnp.arrays(np.int8, st.tuples(st.integers(1, 20), st.integers(2, 12)))
SCALES = st.floats(1e-6, 100.0)


def entropy(logits: np.ndarray, scale: float) -> np.ndarray:
    return np.asarray(ENTROPY.of(logits, ENTROPY.lower(scale, 0)))


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
def test_equal_logits_know_nothing_and_a_sure_one_all(classes: int) -> None:
    even = np.full((1, classes), 7, np.int8)
    sure = np.where(np.arange(classes) == 1, 127, -128).astype(np.int8)[None]
    assert entropy(even, 0.1)[0] / 2**16 == pytest.approx(np.log(classes), abs=1e-4)
    assert entropy(sure, 0.1).tolist() == [0]
    assert ENTROPY.reported(np.array([1 << 16])).tolist() == [1 << 24]  # a nat


@given(LOGITS, SCALES)
def test_it_is_the_real_entropy_but_for_probabilities_of_15_bits(
    logits: np.ndarray, scale: float
) -> None:
    """A class's probability may be half a step of 2^-15 off, where ln p is -10.4 at most."""
    got = entropy(logits, scale) / 2**16
    apart = np.abs(got - ENTROPY.real(logits * np.float64(scale)))
    assert apart.max() <= 12 * logits.shape[1] * 2.0**-15 + 1e-4


@given(LOGITS, SCALES, st.integers(-1, 16 << 16))
def test_the_ends_send_no_row_and_every_row(logits: np.ndarray, scale: float, limit: int) -> None:
    values = entropy(logits, scale)
    assert not ENTROPY.goes_on(values, ENTROPY.never).any()
    assert ENTROPY.goes_on(values, ENTROPY.always).all()
    assert (ENTROPY.goes_on(values, limit) == (values > limit)).all()


@given(LOGITS, SCALES, st.floats(0, 1))
def test_a_share_is_not_exceeded_and_one_more_step_would(
    logits: np.ndarray, scale: float, share: float
) -> None:
    values = entropy(logits, scale)
    limit = ENTROPY.sending(values, share)
    assert ENTROPY.goes_on(values, limit).mean() <= share
    if limit > ENTROPY.least:
        assert ENTROPY.goes_on(values, limit - 1).sum() > np.floor(share * len(values))


def test_a_real_threshold_in_nats_whatever_the_scale() -> None:
    assert ENTROPY.in_steps(0.5, 0.03) == ENTROPY.in_steps(0.5, 3.0) == 1 << 15
    assert ENTROPY.in_steps(1e9, 1.0) == ENTROPY.never

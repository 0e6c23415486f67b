"""The gap, and the thresholds that are chosen by it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeq.ops.cascade import ran
from edgeq.ops.signals import GAP

LOGITS = hnp.arrays(np.int8, st.tuples(st.integers(1, 20), st.integers(2, 12)))
SIGNALS = hnp.arrays(np.int64, st.integers(1, 40), elements=st.integers(0, 255))


def test_by_hand() -> None:
    logits = np.array([[1, 7, 3], [-128, 127, -128], [5, 5, 5], [9, -3, 9]], np.int8)
    assert GAP.of(logits, {}).tolist() == [4, 255, 0, 0]
    assert GAP.reported(np.array([0, 4, 255])).tolist() == [0, 4 << 24, 255 << 24]


@given(LOGITS)
def test_real_numbers_have_the_same_gap(logits: np.ndarray) -> None:
    np.testing.assert_allclose(GAP.real(logits * 0.25), GAP.of(logits, {}) * GAP.unit(0.25))


@given(LOGITS, st.integers(0, 256))
def test_the_ends_send_no_row_and_every_row(logits: np.ndarray, limit: int) -> None:
    values = GAP.of(logits, {})
    assert not GAP.goes_on(values, GAP.never).any()
    assert GAP.goes_on(values, GAP.always).all()
    assert (GAP.goes_on(values, limit) == (values < limit)).all()


@given(SIGNALS, st.floats(0, 1))
def test_a_share_is_not_exceeded_and_one_more_step_would(values: np.ndarray, share: float) -> None:
    limit = GAP.sending(values, share)
    assert GAP.least <= limit <= GAP.most
    assert GAP.goes_on(values, limit).mean() <= share
    if limit < GAP.always:
        assert GAP.goes_on(values, limit + 1).sum() > np.floor(share * len(values))


@given(SIGNALS, st.floats(1e-6, 1e3), st.floats(0, 1e6))
def test_a_real_threshold_sends_the_same_rows(
    values: np.ndarray, scale: float, limit: float
) -> None:
    """But for rows that lie on it to the last bit of a division."""
    steps, real = GAP.in_steps(limit, scale), values * scale
    clear = np.abs(real - limit) > 1e-9 * np.maximum(real, limit)
    assert (GAP.goes_on(values, steps) == (real < limit))[clear].all()


def test_who_ran() -> None:
    assert ran(np.array([0, 1, 2]), 3).tolist() == [[0, 0, 0], [1, 0, 0], [2, 1, 0]]

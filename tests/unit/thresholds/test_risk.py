"""Exact binomial limits: by hand, against scipy's interval, and where rows are too few."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest

from edgeq.errors import BadInput
from edgeq.thresholds.risk import Promise, ends_of_few, read_share, upper_bound


def test_149_rows_without_a_disagreement() -> None:
    promise = Promise(0.02, 0.95)
    assert promise.rows_needed == 149
    assert promise.tight(149) == (0, 149)
    with pytest.raises(BadInput, match=r"148 rows .* 0\.02 .* takes 149 rows"):
        promise.tight(148)


def test_fewer_rows_are_tested_where_they_prove_the_same() -> None:
    assert Promise(0.02, 0.95).tight(200) == (0, 149)
    assert Promise(0.02, 0.95).tight(500) == (4, 456)


@given(st.integers(1, 3000), st.floats(0.001, 0.6), st.floats(0.5, 0.999))
def test_what_is_allowed_is_the_most_that_passes(rows: int, limit: float, sure: float) -> None:
    promise = Promise(limit, sure)
    if rows < promise.rows_needed:
        with pytest.raises(BadInput, match=f"takes {promise.rows_needed} rows"):
            promise.tight(rows)
        return
    most, tested = promise.tight(rows)
    assert promise.p_value(most, tested) <= 1 - sure < promise.p_value(most + 1, rows)
    assert tested == rows or promise.p_value(most, tested - 1) > 1 - sure


@pytest.mark.parametrize(("bad", "rows"), [(0, 149), (4, 456), (17, 60), (60, 60)])
def test_the_bound_is_clopper_and_pearsons(bad: int, rows: int) -> None:
    exact = binomtest(bad, rows, alternative="less").proportion_ci(0.95, "exact").high
    assert upper_bound(bad, rows, 0.95) == pytest.approx(exact)
    if bad < rows:
        assert binom.cdf(bad, rows, upper_bound(bad, rows, 0.95)) == pytest.approx(0.05)


@pytest.mark.parametrize(("limit", "sure"), [(0, 0.95), (1, 0.95), (0.02, 1), (float("nan"), 0.9)])
def test_no_promise(limit: float, sure: float) -> None:
    with pytest.raises(BadInput, match="no promise"):
        Promise(limit, sure)


def test_a_promise_that_takes_millions_of_rows_is_refused() -> None:
    with pytest.raises(BadInput, match="allow more disagreement"):
        Promise(1e-8, 0.95)


def test_shares() -> None:
    assert read_share("--x", " 2.5 % ") == 0.025
    for text in ("2", "0%", "100%", "-1%", "2 %%", "", "nan%", "1e1%"):
        with pytest.raises(BadInput, match=r"--x .* as 2%"):
            read_share("--x", text)


@given(st.integers(1, 5_000), st.data())
def test_the_ends_of_few_are_clopper_pearsons(units: int, data: st.DataObject) -> None:
    """By scipy's beta, which the function does without; the error is shared where both occur."""
    losses = data.draw(st.integers(0, min(4, units)))
    gains = data.draw(st.integers(0, min(4, units - losses)))
    low, high = ends_of_few(losses, gains, units)
    for end, up, down in ((high, gains, losses), (-low, losses, gains)):
        tail = 0.05 / (4 if down else 2)
        most = float(beta.ppf(1 - tail, up + 1, units - up)) if up < units else 1.0
        least = float(beta.ppf(tail, down, units - down + 1)) if down else 0.0
        assert end == pytest.approx(most - least, abs=1e-9)

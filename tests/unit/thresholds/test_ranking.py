"""AUROC against scikit-learn's definition by hand and scipy's rank test; bootstraps by cluster."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, mannwhitneyu

from edgeq.thresholds.ranking import Clusters, auroc, auroc_interval, doubts_of


def test_by_hand() -> None:
    doubt = np.array([1, 2, 2, 3])
    assert auroc(doubt, np.array([False, False, True, True]))[0] == 0.875
    assert auroc(doubt, np.array([True, True, False, False]))[0] == 0.125
    assert np.isnan(auroc(doubt, np.zeros(4, bool))[0])
    assert np.isnan(auroc(doubt, np.ones(4, bool))[0])


@given(st.lists(st.tuples(st.integers(-9, 9), st.booleans()), min_size=2, max_size=60))
def test_it_is_mann_and_whitneys_u(rows: list[tuple[int, bool]]) -> None:
    doubt, wrong = (np.array(column) for column in zip(*rows, strict=True))
    if wrong.all() or not wrong.any():
        return
    u = mannwhitneyu(doubt[wrong], doubt[~wrong]).statistic
    assert auroc(doubt, wrong)[0] == pytest.approx(u / (wrong.sum() * (~wrong).sum()))


@given(st.integers(0, 1000))
def test_weights_are_repeated_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    doubt, wrong = rng.integers(0, 5, 12), rng.random(12) < 0.5
    weights = rng.integers(0, 3, (4, 12))
    found = auroc(doubt, wrong, weights)
    for value, w in zip(found, weights, strict=True):
        repeated = np.repeat(np.arange(12), w)
        expected = auroc(doubt[repeated], wrong[repeated])[0] if len(repeated) else np.nan
        np.testing.assert_allclose(value, expected)


def test_rows_of_one_cluster_are_drawn_together() -> None:
    clusters = Clusters.read(np.array([7, 7, 3, 7, 3]), 5)
    assert clusters.count == 2
    for weights in clusters.weights(200):
        assert (weights[:, 0] == weights[:, 1]).all()
        assert (weights[:, 2] == weights[:, 4]).all()
        assert ((weights[:, 0] + weights[:, 2]) == 2).all()


def test_copies_of_rows_make_no_interval_narrower() -> None:
    """Ten copies of each of 40 rows are 40 sources, not 400."""
    rng = np.random.default_rng(0)
    doubt, wrong = rng.normal(size=40), rng.random(40) < 0.4
    doubt = doubt + wrong
    many = (np.repeat(doubt, 10), np.repeat(wrong, 10))
    width = {
        name: np.diff(auroc_interval(*data, Clusters.read(groups, len(data[0]))))[0]
        for name, data, groups in (
            ("rows", (doubt, wrong), None),
            ("clusters", many, np.repeat(np.arange(40), 10)),
            ("blind", many, None),
        )
    }
    assert width["clusters"] == pytest.approx(width["rows"], rel=0.05)
    assert width["blind"] < 0.5 * width["clusters"]


def test_intervals_cover_a_known_mean() -> None:
    covered = 0
    for seed in range(200):
        values = np.random.default_rng(seed).normal(1.0, 2.0, 80)
        low, high = Clusters.read(None, 80).interval(values)
        covered += low <= 1.0 <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_a_ratio_without_a_denominator_has_no_interval() -> None:
    assert Clusters.read(None, 3).interval(np.ones(3), np.array([1.0, 0, 0])) is None
    assert auroc_interval(np.arange(5), np.zeros(5, bool), Clusters.read(None, 5)) is None


@pytest.mark.parametrize(("rows", "groups"), [(359, 359), (80, 80), (400, 304)])
def test_no_row_that_differs_is_no_proof_that_none_would(rows: int, groups: int) -> None:
    """Clopper and Pearson's interval of 0 in as many as are independent: never a point."""
    clusters = Clusters.read(np.arange(rows) % groups, rows)
    low, high = clusters.interval_of_difference(np.zeros(rows))
    exact = binomtest(0, groups).proportion_ci(0.95, "exact").high
    assert (low, high) == (pytest.approx(-exact), pytest.approx(exact))
    differs = np.where(np.arange(rows) < 20, -1.0, 0.0)
    assert clusters.interval_of_difference(differs) == clusters.interval(differs)


def test_one_more_row_that_differs_makes_no_interval_narrower() -> None:
    """A bootstrap of one row in 359 is narrower than what no row at all allows."""
    clusters = Clusters.read(None, 359)
    ends = [
        clusters.interval_of_difference(np.where(np.arange(359) < losses, -1.0, 0.0))
        for losses in range(5)
    ]
    lows = [low for low, _ in ends]
    assert lows == sorted(lows, reverse=True)
    assert all(low < -losses / 359 < high for losses, (low, high) in enumerate(ends))
    assert clusters.interval(np.where(np.arange(359) < 1, -1.0, 0.0))[0] > lows[0]


def test_intervals_of_few_differences_cover_the_truth() -> None:
    """In 95 % of the draws, less three standard errors."""
    rng, rows, draws, missed = np.random.default_rng(5), 300, 400, 0
    clusters = Clusters.read(None, rows)
    for _ in range(draws):
        drawn = rng.choice([-1.0, 0.0, 1.0], rows, p=[0.01, 0.985, 0.005])
        low, high = clusters.interval_of_difference(drawn)
        missed += not low <= -0.005 <= high
    assert missed / draws <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)


def test_doubts() -> None:
    found = doubts_of(np.array([[2.0, 0, 0], [1.0, 1.0, 0], [0.0, 0, 800.0]]))
    assert found["gap"].tolist() == [-2, 0, -800]
    for name in ("entropy", "1 - p_max"):
        assert np.argsort(found[name]).tolist() == [2, 0, 1]
        assert np.isfinite(found[name]).all()

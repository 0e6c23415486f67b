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


def test_doubts() -> None:
    found = doubts_of(np.array([[2.0, 0, 0], [1.0, 1.0, 0], [0.0, 0, 800.0]]))
    assert found["gap"].tolist() == [-2, 0, -800]
    for name in ("entropy", "1 - p_max"):
        assert np.argsort(found[name]).tolist() == [2, 0, 1]
        assert np.isfinite(found[name]).all()

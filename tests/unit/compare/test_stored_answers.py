"""A cascade from stored answers: by hand, against scipy, and against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from edgeq.comparing import cascades

WHOLE = st.integers(-128, 127)


def test_gap_of_equal_maxima_is_zero() -> None:
    logits = np.array([[5, 5, 1], [127, -128, 0], [-3, 4, 1]], np.int8)
    assert cascades.gap(logits).tolist() == [0, 127, 3]


def test_an_outcome_by_hand() -> None:
    cheap = np.array([[9, 0], [2, 1], [0, 1]])
    precise = np.array([[0, 9], [0, 9], [9, 0]])
    ran = cascades.Outcome.of(cheap, precise, np.array([0, 1, 1]), 2)
    assert ran.went_on.tolist() == [False, True, True]
    assert ran.right.tolist() == [True, True, False]
    assert ran.cost(1.0, 10.0, 0.5).tolist() == [1.5, 11.5, 11.5]


@given(st.lists(WHOLE, min_size=1, max_size=60), st.floats(0, 1))
def test_a_limit_sends_on_no_more_than_its_share(values: list[int], share: float) -> None:
    signal = np.array(values)
    sent = (signal < cascades.limit_for(signal, share)).mean()
    assert sent <= share
    assert (signal < cascades.limit_for(signal, 1.0)).all()


@given(st.integers(0, 2**32 - 1))
def test_auroc_of_one_group_is_that_of_mann_whitney(seed: int) -> None:
    rng = np.random.default_rng(seed)
    doubt, wrong = rng.integers(0, 6, 40), rng.random(40) < 0.4
    wrong[:2] = True, False
    weights = cascades.draws(np.arange(40), 50)
    with np.errstate(invalid="ignore"):
        found = cascades.auroc({"a": doubt}, {"a": wrong}, {"a": weights})
    u = mannwhitneyu(doubt[wrong], doubt[~wrong]).statistic
    assert found.value == pytest.approx(u / (wrong.sum() * (~wrong).sum()))
    assert (found.wrong, found.rows) == (int(wrong.sum()), 40)


def test_auroc_takes_no_pair_across_groups() -> None:
    """Each group ranks perfectly; the second's doubts are all larger than the first's."""
    doubt = {"a": np.array([1, 2]), "b": np.array([11, 12])}
    wrong = {name: np.array([False, True]) for name in doubt}
    weights = {name: np.ones((3, 2)) for name in doubt}
    assert cascades.auroc(doubt, wrong, weights).value == 1.0


def test_whole_clusters_are_drawn() -> None:
    cluster = np.array([7, 7, 3, 3, 3, 9])
    drawn = cascades.draws(cluster, 200)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 2] == drawn[:, 4]).all()
    assert (drawn[:, [0, 2, 5]].sum(1) == 3).all()


def test_means_under_a_resample_are_those_of_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.random((6, 2)), cascades.draws(np.arange(6), 20)
    for w, mean in zip(weights, cascades.means(values, weights), strict=True):
        np.testing.assert_allclose(mean, np.repeat(values, w, axis=0).mean(0))


def test_a_cluster_bootstrap_is_wider_where_rows_repeat() -> None:
    """Ten copies of each row: taken as independent, the interval would be sqrt(10) too narrow."""
    rng = np.random.default_rng(1)
    values = np.repeat(rng.random(40), 10)
    ends = [
        cascades.interval(cascades.means(values[:, None], cascades.draws(of, 2000))[:, 0])
        for of in (np.repeat(np.arange(40), 10), np.arange(400))
    ]
    wide, narrow = (high - low for low, high in ends)
    assert 2.5 < wide / narrow < 4.0


def test_the_front_by_hand() -> None:
    """(0.9, 30) is dominated, (0.85, 19) lies above the line from (0.8, 10) to (0.9, 20)."""
    accuracy = np.array([0.8, 0.9, 0.9, 0.85, 0.7])
    cost = np.array([10.0, 30.0, 20.0, 19.0, 12.0])
    assert cascades.front_cost(accuracy, cost, 0.85) == pytest.approx(15.0)
    assert cascades.front_cost(accuracy, cost, 0.95) == 20.0
    assert cascades.front_cost(accuracy, cost, 0.1) == 10.0


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 100)), min_size=1, max_size=12))
def test_no_network_lies_below_the_front(points: list[tuple[float, float]]) -> None:
    accuracy, cost = np.array(points).T
    for a, c in points:
        assert cascades.front_cost(accuracy, cost, a) <= c + 1e-9

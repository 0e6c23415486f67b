"""The statistics of `edgeq compare` beside scipy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.comparing import bootstrap
from edgeq.comparing.significance import brown_forsythe, incomplete_beta, mcnemar

stats = pytest.importorskip("scipy.stats", reason="scipy, the oracle, is not installed")
special = pytest.importorskip("scipy.special", reason="scipy, the oracle, is not installed")

# whole numbers, as cycles are: equal ones have no spread of rounding errors
VALUES = st.lists(st.integers(1, 10**7), min_size=3, max_size=40)


@given(VALUES, VALUES)
def test_brown_forsythe_is_levene_about_the_median(a: list[int], b: list[int]) -> None:
    left, right = np.array(a, np.float64), np.array(b, np.float64)
    found = brown_forsythe(left, right)
    if found.statistic is None:  # scipy divides by zero there
        assert found.p in (0.0, 1.0)
        return
    wanted = stats.levene(left, right, center="median")
    assert found.statistic == pytest.approx(wanted.statistic, rel=1e-6, abs=1e-12)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-6, abs=1e-12)


@given(VALUES, VALUES)
def test_brown_forsythe_is_symmetric_and_finds_nothing_in_itself(
    a: list[int], b: list[int]
) -> None:
    left, right = np.array(a, np.float64), np.array(b, np.float64)
    assert brown_forsythe(left, left).p == pytest.approx(1.0)
    assert brown_forsythe(left, right).p == pytest.approx(brown_forsythe(right, left).p, rel=1e-6)


def test_brown_forsythe_where_nothing_spreads_within() -> None:
    flat, two = np.array([5.0, 5.0, 5.0]), np.array([4.0, 6.0])
    assert brown_forsythe(flat, flat + 3).p == 1.0
    assert brown_forsythe(flat, two).p == 0.0


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial_test(only_a: int, only_b: int) -> None:
    found = mcnemar(only_a, only_b)
    n = only_a + only_b
    wanted = stats.binomtest(min(only_a, only_b), n, 0.5).pvalue if n else 1.0
    assert found.p == pytest.approx(wanted, rel=1e-9)
    assert found == mcnemar(only_b, only_a)


def test_mcnemar_of_thousands_is_still_exact() -> None:
    wanted = stats.binomtest(4_900, 10_000, 0.5).pvalue
    assert mcnemar(4_900, 5_100).p == pytest.approx(wanted, rel=1e-9)


@given(st.floats(0.5, 5e3), st.floats(0.5, 5e3), st.floats(0, 1))
def test_the_incomplete_beta_function_is_scipys(a: float, b: float, x: float) -> None:
    wanted = special.betainc(a, b, x)
    assert incomplete_beta(a, b, x) == pytest.approx(wanted, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("name", ["mean", "std"])
def test_the_bootstrap_interval_is_scipys(name: str) -> None:
    rng = np.random.default_rng(3)
    a = rng.lognormal(0, 0.4, 200)
    b = a * 1.03 + rng.normal(0, 0.05, 200)
    ours = {"mean": bootstrap.mean, "std": bootstrap.deviation}[name]
    found = bootstrap.ratio_intervals(a, b, {"it": ours}, resamples=20_000)["it"]
    wanted = stats.bootstrap(
        (a, b),
        lambda x, y, axis: getattr(np, name)(y, axis=axis) / getattr(np, name)(x, axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(4),
    ).confidence_interval
    assert found is not None
    width = wanted.high - wanted.low
    assert found == pytest.approx(tuple(wanted), abs=0.04 * width)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(200):
        a = rng.normal(10, 1, 80)
        b = a * 1.05 + rng.normal(0, 1, 80)
        ends = bootstrap.ratio_intervals(a, b, {"it": bootstrap.mean}, 400, trial)["it"]
        assert ends is not None
        hits += ends[0] <= 1.05 <= ends[1]
    assert 180 <= hits <= 199  # 95 % of 200, give or take three deviations


def test_one_seed_gives_one_interval_however_it_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    a, b = rng.random(50) + 1, rng.random(50) + 1
    whole = bootstrap.ratio_intervals(a, b, {"it": bootstrap.mean}, 300)
    monkeypatch.setattr(bootstrap, "DRAWN_AT_ONCE", 1_000)
    assert bootstrap.ratio_intervals(a, b, {"it": bootstrap.mean}, 300) == whole
    assert bootstrap.ratio_intervals(a, b, {"it": bootstrap.mean}, 300, seed=1) != whole


def test_a_ratio_to_nothing_has_no_interval() -> None:
    flat = np.full(10, 3.0)
    found = bootstrap.ratio_intervals(flat, np.arange(10.0), {"it": bootstrap.deviation}, 100)
    assert found["it"] is None

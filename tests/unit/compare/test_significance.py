"""The statistics of `edgeq compare` beside exact sums, and beside what edgeq gave before scipy."""

import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.comparing import bootstrap
from edgeq.comparing.significance import brown_forsythe, mcnemar
from tests.hang import HANG_S

# whole numbers, as cycles are: equal ones have no spread of rounding errors
VALUES = st.lists(st.integers(1, 10**7), min_size=3, max_size=40)

# seed and inputs of a draw; Brown-Forsythe's statistic and p, and intervals: of edgeq's own code,
# which scipy's replaced
RECORDED = [
    (
        2,
        9,
        1.4405852279832596,
        0.24751473637723997,
        {
            "mean": (1.005298582508773, 1.0772089448605344),
            "p95": (1.0451339712363272, 1.0950394253828069),
            "spread": (1.0580818089862414, 2.3741123051304154),
        },
    ),
    (
        3,
        200,
        9.77184169944103,
        0.001902077552444775,
        {
            "mean": (1.0218581253152845, 1.036124780653645),
            "p95": (1.051754694546792, 1.0860541981129475),
            "spread": (1.2505625607412048, 1.4782830535684104),
        },
    ),
    (
        4,
        1797,
        130.98917084420037,
        8.132759549753145e-30,
        {
            "mean": (1.0291412293643891, 1.0339608426539186),
            "p95": (1.0645943202621078, 1.0762530004161923),
            "spread": (1.3338529469085936, 1.404010133369101),
        },
    ),
]
STATISTICS = {"mean": bootstrap.mean, "p95": bootstrap.quantile(0.95)} | {
    "spread": bootstrap.deviation
}


@pytest.mark.parametrize(("seed", "inputs", "statistic", "p", "intervals"), RECORDED)
def test_the_numbers_are_those_of_before(
    seed: int, inputs: int, statistic: float, p: float, intervals: dict[str, tuple[float, float]]
) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(90_000, 110_000, inputs) / 168.0
    b = a * 1.03 + rng.integers(-9_000, 9_000, inputs) / 168.0
    found = brown_forsythe(a, b)
    assert found.statistic == pytest.approx(statistic, rel=1e-12)
    assert found.p == pytest.approx(p, rel=1e-10, abs=0)
    ends = bootstrap.ratio_intervals(a, b, STATISTICS)
    assert set(ends) == set(intervals)
    for name, wanted in intervals.items():
        assert ends[name] == pytest.approx(wanted, rel=1e-12), name


def test_scipy_is_loaded_by_who_compares_alone() -> None:
    code = "import sys, edgeq.cli, edgeq.comparing; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=HANG_S, check=False).returncode == 0


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
    assert brown_forsythe(flat, two).statistic is None


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial_test(only_a: int, only_b: int) -> None:
    found = mcnemar(only_a, only_b)
    assert found.p == pytest.approx(two_tails(only_a, only_b), rel=1e-9)
    assert found == mcnemar(only_b, only_a)


def two_tails(only_a: int, only_b: int) -> float:
    """In whole numbers: twice the share of the splits that are at least as uneven."""
    n, few = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(few + 1)) / 2**n)


def test_mcnemar_of_thousands_is_still_exact() -> None:
    assert mcnemar(4_900, 5_100).p == pytest.approx(two_tails(4_900, 5_100), rel=1e-9)
    assert mcnemar(4_900, 5_100).p == pytest.approx(0.04658552770494739, rel=1e-9)


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
    asked = {"it": bootstrap.deviation, "mean": bootstrap.mean}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a user has nothing to do about scipy's
        found = bootstrap.ratio_intervals(flat, np.arange(10.0), asked, 100)
        assert found["it"] is None
        assert found["mean"] is not None
        assert bootstrap.ratio_intervals(flat, flat, asked, 100)["mean"] == (1.0, 1.0)

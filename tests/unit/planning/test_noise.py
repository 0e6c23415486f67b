"""What rows can tell of losses: errors against numpy, monotone losses, the note that says so."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from edgeq.planning.noise import ROWS, Weights, falling, needed_rows, standard_error
from edgeq.planning.plan_report import notes

PLAN = {"a": "int4", "b": "int8"}


def losses(means: dict[str, float], spread: float, rows: int, seed: int) -> dict[str, np.ndarray]:
    """Rows whose mean is exactly so much."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(len(means), rows))
    noise -= noise.mean(1, keepdims=True)
    return {k: m + spread * n for (k, m), n in zip(means.items(), noise, strict=True)}


def weights(spread: float, rows: int = 60, less: float = 0.1) -> Weights:
    """Two layers; the plan loses `less` less than int4 throughout."""
    found = {
        "a": losses({"int4": 0.2, "int8": 0.1}, spread, rows, 1),
        "b": losses({"int4": 0.1 + less, "int8": 0.1}, spread, rows, 2),
    }
    return Weights.of_rows(found)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=9))
def test_a_wider_width_never_loses_more(values: list[float]) -> None:
    made = falling({str(i): v for i, v in enumerate(values)})
    wanted = isotonic_regression(values, increasing=False).x
    np.testing.assert_allclose(list(made.values()), wanted, atol=1e-12)


def test_the_error_is_that_of_a_mean() -> None:
    rows = np.array([1.0, 2.0, 4.0, 9.0])
    assert standard_error(rows) == pytest.approx(rows.std(ddof=1) / 2)
    assert weights(0.0).error("a", "int4") == pytest.approx(0, abs=1e-15)
    assert Weights({"a": {"int4": 1.0}}).error("a", "int4") is None  # a Hessian has no rows


def test_a_difference_beyond_two_errors_is_shown() -> None:
    found = weights(0.1).against(PLAN, ["int4"])
    assert found is not None
    assert found["width"] == "int4"
    assert found["difference"] == pytest.approx(0.1)
    assert found["error"] == pytest.approx(0.1 * math.sqrt(2 / 60), rel=0.4)
    assert found["shown"]
    assert found["rows_needed"] is None


def test_one_within_them_names_the_rows_that_would_do() -> None:
    """As many rows as it names do show a difference of that size."""
    few = weights(1.0).against(PLAN, ["int4"])
    assert few is not None
    assert not few["shown"]
    exact = 60 * (2 * few["error"] / few["difference"]) ** 2
    assert exact <= few["rows_needed"] <= 1.1 * exact
    error_then = few["error"] * math.sqrt(60 / few["rows_needed"])
    assert few["difference"] >= 2 * error_then
    more = weights(1.0, rows=2 * few["rows_needed"]).against(PLAN, ["int4"])
    assert more is not None
    assert more["shown"]


def test_errors_are_of_paired_rows() -> None:
    """What a row loses whatever the width is no noise of a difference."""
    common = np.random.default_rng(3).normal(size=50) * 100
    rows = {"a": {"int4": common + 1.0, "int8": common + 0.5}}
    found = Weights.of_rows(rows).against({"a": "int8"}, ["int4"])
    assert found is not None
    assert found["shown"]


def test_without_a_rival_nothing_is_said() -> None:
    assert weights(1.0).against(PLAN, []) is None
    assert weights(1.0).against({"a": "int4", "b": "int4"}, ["int4"]) is None
    assert Weights({"a": {"int4": 1.0}}).against(PLAN, ["int4"]) is None


def noted(beside: dict | None, rows: int = 60) -> list[str]:
    return list(notes({"cycles_error": 0.0, "against_uniform": beside, "rows": rows}))


def test_the_note_says_what_to_do() -> None:
    beside = {"width": "int4", "difference": 0.04, "error": 0.05, "shown": False}
    (said,) = noted({**beside, "rows_needed": 380})
    assert "loses 0.04 ±0.05 more than the plan: 60 rows do not tell them apart" in said
    assert said.endswith("about 380 would; give as many (--calibration)")
    (said,) = noted({**beside, "rows_needed": ROWS + 1})
    assert said.endswith("about 2,049 would; take either, or let edgeq pareto --plan judge both")
    (said,) = noted({**beside, "difference": -0.01, "rows_needed": None})
    assert "the plan loses no less than int4 throughout" in said
    assert noted({**beside, "shown": True, "rows_needed": None}) == []
    assert noted(None) == []


def test_needed_rows_grow_with_the_square() -> None:
    assert needed_rows(0.1, 0.2, 60) == pytest.approx(4 * needed_rows(0.1, 0.1, 60), rel=0.05)

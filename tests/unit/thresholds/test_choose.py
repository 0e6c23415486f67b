"""Thresholds of small tables by hand, and what must hold of any."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput
from edgeq.thresholds import Promise, Stages, by_budget, by_quantile, by_risk, steps_of


def two(doubts: list[int], wrong: list[int], costs: tuple[float, float] = (1, 5)) -> Stages:
    """Two stages; `wrong` numbers the rows whose first answer differs."""
    differs = np.zeros((len(doubts), 2), bool)
    differs[wrong, 0] = True
    costs_of = np.tile(costs, (len(doubts), 1))
    return Stages(np.array(doubts)[:, None], differs, costs_of, (0,))


def steps(stages: Stages) -> tuple[tuple[int, ...], ...]:
    return steps_of(stages.doubts, stages.lowest)


def test_who_answers() -> None:
    stages = Stages(np.array([[1, 9], [3, 2], [3, 9]]), np.zeros((3, 3), bool), np.eye(3), (0, 0))
    assert stages.answering((2, 5)).tolist() == [0, 1, 2]
    assert stages.answering((-1, -1)).tolist() == [2, 2, 2]
    assert stages.shares((3, 0)) == (1, 0, 0)


def test_by_quantile_of_the_rows_that_come_there() -> None:
    stages = two([5, 1, 3, 2, 4], [])
    assert by_quantile(stages, 0.4).thresholds == (2,)
    assert by_quantile(stages, 0).thresholds == (-1,)
    assert by_quantile(stages, 1).shares == (1, 0)
    three = Stages(
        np.array([[1, 0], [2, 0], [3, 7], [4, 5]]), np.zeros((4, 3), bool), np.ones((4, 3)), (0, 0)
    )
    assert by_quantile(three, 0.5).thresholds == (2, 5)
    with pytest.raises(BadInput, match="quantile"):
        by_quantile(stages, 1.5)


def test_by_budget_the_safest_that_is_cheap_enough() -> None:
    stages = two([10, 20, 30, 40], [])
    choice = by_budget(stages, steps(stages), 3.0)
    assert choice is not None
    assert (choice.thresholds, choice.mean_cost) == ((20,), 3.0)
    assert by_budget(stages, steps(stages), 0.9) is None


def test_by_risk_stops_before_the_first_disagreement_of_149() -> None:
    stages = two(list(range(149)), [100, 120])
    choice = by_risk(stages, steps(stages), Promise(0.02))
    assert choice.thresholds == (99,)
    assert choice.kept is not None
    assert (choice.kept.tested, choice.kept.disagreements) == (149, 0)
    assert choice.kept.bound == pytest.approx(1 - 0.05 ** (1 / 149))
    assert choice.disagreement == 0


def test_a_dearer_first_stage_is_not_taken() -> None:
    stages = two(list(range(200)), [], costs=(7, 5))
    assert by_risk(stages, steps(stages), Promise(0.02)).thresholds == (-1,)


def test_too_few_rows_are_refused() -> None:
    stages = two(list(range(148)), [])
    with pytest.raises(BadInput, match="takes 149 rows"):
        by_risk(stages, steps(stages), Promise(0.02))


def test_where_no_step_is_safe() -> None:
    stages = two([1] * 200, list(range(200)))
    with pytest.raises(BadInput, match="safest threshold disagrees on 149 of 149 rows, 0 may"):
        by_risk(stages, [(9,)], Promise(0.02))


def test_tables_that_do_not_belong_together() -> None:
    with pytest.raises(BadInput, match="do not belong"):
        Stages(np.zeros((3, 2), int), np.zeros((3, 2), bool), np.zeros((3, 2)), (0,))
    with pytest.raises(BadInput, match="least that there can be"):
        Stages(np.array([[-1]]), np.zeros((1, 2), bool), np.zeros((1, 2)), (0,))


ROWS = st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=60, max_size=300)


@given(ROWS, st.sampled_from([0.05, 0.1, 0.3]))
def test_every_threshold_up_to_the_chosen_one_passes(
    rows: list[tuple[int, bool]], limit: float
) -> None:
    stages = two([d for d, _ in rows], [i for i, (_, wrong) in enumerate(rows) if wrong])
    promise = Promise(limit)
    choice = by_risk(stages, steps(stages), promise)
    assert choice.kept is not None
    assert promise.p_value(choice.kept.disagreements, choice.kept.tested) <= 0.05
    assert choice.kept.bound <= limit + 1e-12
    assert sum(choice.shares) == pytest.approx(1)
    looser = by_risk(stages, steps(stages), Promise(min(0.9, limit * 2)))
    assert looser.rows == choice.rows


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9)), min_size=1, max_size=80))
def test_steps_rise_and_begin_with_never(rows: list[tuple[int, int]]) -> None:
    found = steps_of(np.array(rows), (0, 0), 16)
    assert found[0] == (-1, -1)
    assert len(found) <= 17
    assert all((np.array(b) >= a).all() for a, b in pairwise(found))
    assert len(set(found)) == len(found)

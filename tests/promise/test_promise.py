"""The recorded campaign keeps the promise, and this code draws what is recorded."""

import json

import numpy as np
import pytest

from edgeq.thresholds import Promise, Stages, by_risk, steps_of
from tests.promise import campaign, digits
from tests.promise.population import SHAPES

SAMPLE = 40
CELLS = campaign.cells()


def test_every_cell_is_recorded_in_full() -> None:
    recorded = campaign.read_record()
    assert [(c["shape"], c["rows"]) for c in recorded] == CELLS
    assert {c["draws"] for c in recorded} == {campaign.DRAWS}
    assert campaign.table(recorded) in campaign.PAGE.read_text("utf-8")


@pytest.mark.parametrize("cell", campaign.read_record(), ids=lambda c: f"{c['shape']}-{c['rows']}")
def test_the_limit_is_kept_and_the_saving_had(cell: dict[str, float]) -> None:
    assert cell["above"] / cell["draws"] <= campaign.most_above(int(cell["draws"]))
    if cell["rows"] >= 500:
        assert cell["saving"] >= 0.5 * cell["optimum"]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_draws_are_computed_again(shape: str) -> None:
    ran = campaign.run_cell(shape, 300, range(SAMPLE))
    assert ran["above"] / SAMPLE <= campaign.most_above(SAMPLE)
    whole = next(c for c in campaign.read_record() if (c["shape"], c["rows"]) == (shape, 300))
    assert ran["optimum"] == whole["optimum"]
    assert ran["saving"] == pytest.approx(whole["saving"], rel=0.35)


def test_a_broken_promise_is_seen() -> None:
    """Choosing by the rows' own rate, without a test, fails far more often than it may."""
    population, above = SHAPES["a slope"], 0
    for draw in range(200):
        stages = population.draw(300, np.random.default_rng(draw))
        steps = steps_of(stages.doubts, stages.lowest)
        within = [s for s in steps if stages.disagreements(s) <= 0.02 * stages.rows]
        above += population.risk(within[-1][0]) > 0.02
    assert above / 200 > campaign.most_above(200)


def _three_stages(rows: int, rng: np.random.Generator) -> tuple[Stages, np.ndarray]:
    """Doubts of two stages, the second asked at a third of the price; rates of disagreement."""
    hard = rng.random(rows)
    doubts = np.stack([hard, hard**2], axis=1) * 200 + rng.integers(0, 50, (rows, 2))
    doubts = doubts.astype(np.int64)
    rates = np.stack([0.5 * (doubts[:, 0] / 250) ** 3, 0.3 * (doubts[:, 1] / 250) ** 3], axis=1)
    differs = np.zeros((rows, 3), bool)
    differs[:, :2] = rng.random((rows, 2)) < rates
    costs = np.tile([1.0, 2.0, 5.0], (rows, 1))
    return Stages(doubts, differs, costs, (0, 0)), rates


def test_three_stages_keep_it_too() -> None:
    """The path of the thresholds comes from other rows: there the risk need not rise."""
    other, _ = _three_stages(400, np.random.default_rng(1))
    steps = steps_of(other.doubts, other.lowest, 64)
    many, rates = _three_stages(200_000, np.random.default_rng(2))
    rates = np.pad(rates, ((0, 0), (0, 1)))
    true = {s: np.take_along_axis(rates, many.answering(s)[:, None], 1).mean() for s in steps}
    assert max(true.values()) > 0.04  # the path goes well beyond the limit
    above = 0
    for draw in range(300):
        stages, _ = _three_stages(400, np.random.default_rng([3, draw]))
        above += true[by_risk(stages, steps, Promise(0.02)).thresholds] > 0.02
    assert above / 300 <= campaign.most_above(300)


def test_the_digits_record_stands_in_the_page() -> None:
    record = json.loads(digits.RECORD.read_text("utf-8"))
    assert digits.words(record) in campaign.PAGE.read_text("utf-8")
    assert record["bound"] <= record["limit"]
    assert record["unseen_interval"][0] <= record["limit"], "unseen rows would refute the promise"

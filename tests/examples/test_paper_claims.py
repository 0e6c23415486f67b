"""examples/paper_claims: README and JSON agree; the JSON is what the stored answers give."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.neighbours import script

FOLDER = Path(__file__).parents[2] / "examples" / "paper_claims"


@pytest.fixture(scope="module")
def claims() -> Iterator[ModuleType]:
    """claims.py as a module, with its neighbours."""
    with script(FOLDER, "claims") as module:
        yield module


@pytest.fixture(scope="module")
def ran(claims: ModuleType) -> Any:
    return claims.Inferences(dict(np.load(claims.ANSWERS)), _told(claims)["costs"])


def _told(claims: ModuleType) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(claims.TOLD.read_text())
    return told


def test_the_readme_holds_the_table_of_the_json(claims: ModuleType) -> None:
    assert claims.markdown(_told(claims)) in (FOLDER / "README.md").read_text()


def test_every_row_was_answered_by_every_network(ran: Any) -> None:
    for answer in ran.answer.values():
        assert (answer >= 0).all()
    for joules in ran.joules.values():
        assert (joules > 0).all()


def test_f1_is_that_of_scikit_learn(claims: ModuleType, ran: Any) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    told = _told(claims)["claims"]
    for name, answer in ran.answer.items():
        wanted = np.mean([metrics.f1_score(ran.y, a, average="macro") for a in answer])
        assert told[f"f1 {name}"]["value"] == pytest.approx(wanted)


def test_spreads_are_those_of_the_inferences(claims: ModuleType, ran: Any) -> None:
    told = _told(claims)["claims"]["spread"]
    for name, cycles in ran.cycles.items():
        milliseconds = 1e3 * cycles / claims.load_board(claims.score.BOARD).clock_hz
        assert told[name]["std_ms"] == pytest.approx(milliseconds.std(), rel=1e-6)


def test_a_latency_is_the_mean_of_the_routes_cycles(claims: ModuleType, ran: Any) -> None:
    told = _told(claims)["claims"]
    name, hertz = claims.CURIOUS, claims.load_board(claims.score.BOARD).clock_hz
    latency = 1e3 * ran.cycles[name].mean() / hertz
    assert told[f"latency_ms {name}"]["value"] == pytest.approx(latency, rel=1e-4)


@pytest.mark.full
def test_every_claim_is_computed_again(claims: ModuleType, ran: Any) -> None:
    again = json.loads(json.dumps(claims.claims(ran)))
    assert again.keys() == _told(claims)["claims"].keys()
    for name, figure in _told(claims)["claims"].items():
        if name != "spread":
            assert again[name]["value"] == pytest.approx(figure["value"])
            assert again[name]["interval"] == pytest.approx(figure["interval"])

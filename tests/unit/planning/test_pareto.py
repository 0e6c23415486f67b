"""`edgeq pareto` and `edgeq advise`: what is compared, the fronts, and an advice with evidence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeq
from edgeq import nn
from edgeq.board import load_board
from edgeq.errors import BadInput
from edgeq.planning.compared import advice, compared
from edgeq.planning.counted import Counted
from edgeq.planning.judged import Judged, Labelled
from edgeq.reporting.study import read_study
from edgeq.thresholds.ranking import Clusters
from tests.command_line import run_told
from tests.unit.planning.blobs import network

BOARD = load_board("nucleo_l4r5zi")
ROWS = 400


def judged(name: str, wrong: int, cycles: float, flash: int = 1000, shift: int = 0) -> Judged:
    """A candidate that is wrong on `wrong` rows from `shift` on."""
    right = np.ones(ROWS, bool)
    right[shift : shift + wrong] = False
    counted = Counted((), cycles, flash, 1000, 0, {}, "none")
    return Judged(name, None, right, np.where(right, 0.1, 2.0), counted)


def on() -> Labelled:
    y = np.zeros(ROWS, np.int64)
    return Labelled(np.zeros((ROWS, 1)), y, Clusters.read(None, ROWS), "made rows")


def told(many: list[Judged], prefer: str = "latency", margin: float = 0.02) -> dict[str, Any]:
    return advice(compared(many, on(), BOARD), prefer, margin, ROWS, ROWS)


def test_equal_answers_are_no_difference_and_the_cheaper_is_shipped() -> None:
    found = told([judged("int8", 20, 1000.0), judged("int4", 21, 750.0)])
    assert found["ship"] == "int4"
    assert "no difference shown to int8, the most accurate" in found["said"]
    assert "at 25% fewer cycles and energy (modelled)" in found["said"]
    assert "McNemar p = 1" in found["said"]


def test_what_is_worse_is_not_shipped_for_being_cheap() -> None:
    many = [judged("int8", 20, 1000.0), judged("ternary", 80, 100.0)]
    found = told(many)
    assert found["ship"] == "int8"
    assert "nothing cheaper here is shown to be within 2 points" in found["said"]
    ternary = compared(many, on(), BOARD)[1]
    assert ternary["verdict"] == "less accurate"
    assert ternary["p"] < 1e-6
    assert told(many, margin=0.3)["ship"] == "ternary"
    assert "less accurate than int8" in told(many, margin=0.3)["said"]


def test_no_difference_shown_is_no_proof_of_being_no_worse() -> None:
    """Many rows that only one side gets right, in both ways: p is large, the interval wide."""
    found = told([judged("int8", 40, 1000.0), judged("int4", 44, 500.0, shift=200)])
    assert found["ship"] == "int8"
    assert "no difference shown" in found["said"]


def test_the_cost_that_counts_decides() -> None:
    many = [judged("a", 20, 1000.0, flash=100), judged("b", 20, 500.0, flash=900)]
    assert told(many)["ship"] == "b"
    assert told(many, "flash")["ship"] == "a"


def test_the_fronts_and_what_does_not_fit() -> None:
    many = [
        judged("dear", 10, 1000.0),
        judged("even", 20, 500.0),
        judged("worse", 30, 700.0),
        judged("huge", 0, 10.0, flash=BOARD.flash.bytes + 1),
    ]
    entries = compared(many, on(), BOARD)
    assert [e["against"] for e in entries] == ["dear"] * 4
    assert ["latency" in e["fronts"] for e in entries] == [True, True, False, False]
    assert [e["fits"] for e in entries] == [True, True, True, False]
    assert advice(entries[3:], "latency", 0.02, ROWS, ROWS)["ship"] is None


def test_groups_widen_the_interval() -> None:
    many = [judged("int8", 0, 2.0), judged("int4", 40, 1.0)]
    rows = on()
    groups = Labelled(rows.x, rows.y, Clusters.read(np.arange(ROWS) // 40, ROWS), "groups")
    plain, wide = (compared(many, each, BOARD)[1] for each in (rows, groups))
    span = [e["difference_interval"][1] - e["difference_interval"][0] for e in (plain, wide)]
    assert span[1] > 2 * span[0]


@pytest.mark.full
def test_the_commands_and_their_folders(tmp_path: Path, monkeypatch: Any, capfd: Any) -> None:
    monkeypatch.chdir(tmp_path)
    edgeq.save(network(), "model.pt")
    edgeq.save(edgeq.quantize(network(), weights="int3"), "trained.pt")
    both = ("model.pt", "--board", "virtual_m4", "--bits", "1.58,8", "--also", "trained.pt")
    ended = run_told(monkeypatch, capfd, "pareto", *both, "--json")
    assert ended.code == 0, ended.err
    result = json.loads(ended.out)
    assert [e["name"] for e in result["candidates"]] == ["ternary", "int8", "trained.pt"]
    study = read_study(Path(result["run"]))
    assert [row["name"] for row in study.table] == ["ternary", "int8", "trained.pt"]
    assert "Accuracy against latency" in (study.folder / "page.html").read_text()
    model = nn.load("model.pt")
    made = edgeq.quantize(model, weights="int8")
    assert model.evaluation is not None
    x, y = model.evaluation
    own = float((made.predict(x)[0].argmax(1) == y).mean())
    found = result["candidates"][1]
    assert found["accuracy"] == pytest.approx(own, abs=0.02), "integers, against PyTorch's rounding"
    low, high = found["accuracy_interval"]
    assert low < found["accuracy"] < high
    ended = run_told(monkeypatch, capfd, "advise", *both)
    assert ended.code == 0
    assert "judging 3 candidates on 100 rows, built for virtual_m4: about" in ended.err
    assert "ship " in ended.out
    once = ("advise", "model.pt", "--board", "virtual_m4")
    for options, says in (
        (("--margin", "-1"), "--margin is -1 points"),
        (("--bits", "8", "--also", "absent.pt"), "absent.pt"),
    ):
        ended = run_told(monkeypatch, capfd, *once, *options)
        assert (ended.code, says in ended.err) == (2, True), ended.err


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    def pareto(model: Any, **options: Any) -> None:
        edgeq.pareto(model, "virtual_m4", run=tmp_path / "run", **options)

    model = network()
    with pytest.raises(BadInput, match="two candidates or more"):
        pareto(model, bits="8")
    model.evaluation = None
    with pytest.raises(BadInput, match="stores no evaluation set; pass --data"):
        pareto(model)
    np.savez(tmp_path / "few.npz", x=np.zeros((5, 1, 6, 6)), y=np.zeros(5, np.int64))
    with pytest.raises(BadInput, match="has 5 rows; 20 are the fewest"):
        pareto(model, data=tmp_path / "few.npz")
    np.savez(tmp_path / "odd.npz", x=np.zeros((30, 1, 6, 6)), y=np.full(30, 9))
    with pytest.raises(BadInput, match=r"labels 9\.\.9, the model knows 0\.\.3"):
        pareto(model, data=tmp_path / "odd.npz")
    model.task = "regression"
    with pytest.raises(BadInput, match="is no classifier of rows"):
        pareto(model)
    with pytest.raises(BadInput, match="has no energy figures"):
        edgeq.advise(network(), "virtual_m0plus", prefer="energy")
    x = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    other = nn.Model(nn.Sequential(nn.Linear(4, 3, 8)), (4,), calibration=x)
    edgeq.save(other, tmp_path / "other.pt")
    with pytest.raises(BadInput, match="does not take the rows"):
        pareto(network(), bits="8", also=[tmp_path / "other.pt"])
    assert not (tmp_path / "run").exists()

"""`edgeq plan` on a small network: the plan, its firmware, its file, its folder, its errors."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeq
from edgeq import nn
from edgeq.board import load_board
from edgeq.comparing import compare
from edgeq.errors import BadInput, CostBudget, ModelFile, UnsupportedOp
from edgeq.plan_file import read_plan
from edgeq.planning.limits import Allowed
from edgeq.planning.program import Choice, Costs, solve
from edgeq.reporting.study import read_study
from tests.command_line import run_told
from tests.unit.planning.blobs import network
from tests.unit.small_model import assert_refused

BOARD = "virtual_m4"
BITS = "1.58,4,8"


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[str]]:
    """A folder with model.pt, plan.toml and the run's folder, the result, and what was told."""
    folder = tmp_path_factory.mktemp("planned")
    edgeq.save(network(), folder / "model.pt")
    told: list[str] = []
    result = edgeq.plan(
        folder / "model.pt",
        BOARD,
        folder / "plan.toml",
        bits=BITS,
        max_flash="18.5KB",
        run=folder / "run",
        tell=told.append,
    )
    return folder, result, told


def costs_of(result: dict[str, Any]) -> Costs:
    """The table of the result, without shared code."""
    layers = {
        layer["layer"]: {
            c["width"]: Choice(c["cycles"], c["weight_bytes"], c["ram_bytes"], c["loss"])
            for c in layer["choices"]
        }
        for layer in result["layers"]
    }
    return Costs(layers)


def test_the_plan_is_within_the_budget_and_mixed(planned: Any) -> None:
    _, result, told = planned
    assert result["counted"]["flash_bytes"] <= 18.5 * 1024
    assert any(not u["meets"] for u in result["uniform"]), "the budget decides something"
    assert told[0].startswith("planning 4 layers at 3 widths on 160 rows, 4 firmwares")
    assert "about" in told[0]


def test_the_programs_answer_for_the_net_is_brute_force(planned: Any) -> None:
    """Over all 81 plans of the network's own table, at a budget that each plan's cost gives."""
    costs = costs_of(planned[1])
    names = list(costs.layers)
    every = [
        costs.of(dict(zip(names, kinds, strict=True)))
        for kinds in itertools.product(*costs.layers.values())
    ]
    board = load_board(BOARD)
    for share in (0.1, 0.3, 0.5, 0.9):
        ordered = sorted(total.cycles for total in every)
        most = ordered[int(share * len(ordered))]
        limits = Allowed.read(None, None, None, None).limits(board)
        limits = type(limits)(most, limits.flash_bytes, limits.ram_bytes)
        plan = solve(costs, limits)
        assert plan is not None
        best = min(total.loss for total in every if total.cycles <= most)
        assert costs.of(plan).loss == pytest.approx(best, rel=1e-6)


@pytest.mark.full
def test_the_exports_cycles_are_the_predicted(planned: Any, tmp_path: Path) -> None:
    folder, result, _ = planned
    report = edgeq.export(folder / "model.pt", BOARD, tmp_path / "out", plan=folder / "plan.toml")
    cycles = report["estimate"]["worst"]["cycles"]
    assert result["predicted"]["cycles"] == pytest.approx(cycles, rel=0.005)
    assert result["counted"]["cycles"] == pytest.approx(cycles, abs=1)
    assert result["counted"]["flash_bytes"] == pytest.approx(report["flash_bytes"], rel=0.005)
    kinds = result["widths"]
    assert {layer["name"] for layer in report["layers"]} >= set(kinds)
    assert report["origin"]["keep"] | {} == {
        n: k for n, k in kinds.items() if k != report["origin"]["weights"]
    }
    again = edgeq.verify(tmp_path / "out", model=folder / "model.pt")
    assert again["passed"]


def test_the_folder_holds_table_result_and_page(planned: Any) -> None:
    folder, result, _ = planned
    study = read_study(folder / "run")
    assert (study.manifest.kind, study.manifest.board, study.manifest.rows) == ("plan", BOARD, 160)
    assert len(study.table) == 12
    chosen = {row["layer"]: row["width"] for row in study.table if row["chosen"]}
    assert chosen == result["widths"] == read_plan(folder / "plan.toml").widths
    stored = json.loads((folder / "run" / "result.json").read_text())
    assert stored["counted"] == result["counted"]
    page = (folder / "run" / "page.html").read_text()
    assert "blobs on virtual_m4" in page
    found = compare(folder / "run", folder / "run")
    assert (found["study"], found["rows"], found["changes"]) == ("plan", 12, [])


def test_the_command_line(planned: Any, monkeypatch: Any, capfd: Any, tmp_path: Path) -> None:
    folder = planned[0]
    monkeypatch.chdir(tmp_path)
    model, file = folder / "model.pt", folder / "plan.toml"
    ended = run_told(monkeypatch, capfd, "quantize", model, "--plan", file, "-o", "q.pt", "--json")
    assert json.loads(ended.out)["layers"] == planned[1]["widths"]
    ended = run_told(monkeypatch, capfd, "plan", "--diff", file, file)
    assert "0 of 4 layers have other widths" in ended.out
    edited = file.read_text().replace('"body.0"', '"body.00"')
    (tmp_path / "edited.toml").write_text(edited)
    for command in (
        ("quantize", model, "--plan", "edited.toml"),
        ("export", model, "--target", BOARD, "--plan", "edited.toml"),
    ):
        ended = run_told(monkeypatch, capfd, *command)
        assert_refused(ended, 2, "edited.toml names the layer 'body.00'", "did you mean 'body.0'?")
    both = ("export", model, "--target", BOARD, "--plan", file, "--weights", "int4")
    assert_refused(run_told(monkeypatch, capfd, *both), 2, "--weights and --plan both say")
    both = ("quantize", model, "--plan", file, "--keep", "a=int4")
    assert_refused(run_told(monkeypatch, capfd, *both), 2, "without --weights and --keep")
    ended = run_told(monkeypatch, capfd, "plan", model)
    assert (ended.code, "give MODEL and --board" in ended.err) == (2, True)
    ended = run_told(monkeypatch, capfd, "plan", model, "--board", BOARD, "--diff", file, file)
    assert (ended.code, "leave MODEL and --board out" in ended.err) == (2, True)


def test_a_budget_that_no_plan_meets(planned: Any, tmp_path: Path) -> None:
    folder = planned[0]
    with pytest.raises(CostBudget, match=r"--max-latency is 0.01 ms, the least that would do is "):
        edgeq.plan(
            folder / "model.pt",
            BOARD,
            tmp_path / "plan.toml",
            bits="4",
            max_latency="10us",
            run=tmp_path / "run",
        )
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_what_cannot_be_planned_is_refused_before_anything_runs(tmp_path: Path) -> None:
    def plan(model: Any, board: str = BOARD, **options: Any) -> None:
        edgeq.plan(model, board, tmp_path / "plan.toml", **options)

    model = network()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").write_text("")
    with pytest.raises(BadInput, match="is not empty; give --run another"):
        plan(model, run=tmp_path / "run")
    with pytest.raises(BadInput, match="--sensitivity is 'guess'; choose from loss, hessian"):
        plan(model, sensitivity="guess")
    with pytest.raises(BadInput, match="no energy figures"):
        plan(
            model,
            "rpi_pico" if load_board("rpi_pico").energy is None else "virtual_m0plus",
            max_energy="1mJ",
        )
    with pytest.raises(BadInput, match="unknown board 'nucleo_x'"):
        plan(model, "nucleo_x")
    with pytest.raises(BadInput):
        plan(tmp_path / "absent.pt")
    (tmp_path / "bad.pt").write_bytes(b"no model")
    with pytest.raises(ModelFile):
        plan(tmp_path / "bad.pt")
    model.calibration = None
    with pytest.raises(BadInput, match="stores no calibration set"):
        plan(model)
    kinds = ("ternary", "int8")
    mixture = nn.Mixture(
        [nn.paper_expert(6, (8, 8), 3, k) for k in kinds], nn.BayesianRouter(6, 2), kinds
    )
    x = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
    with pytest.raises(UnsupportedOp, match="experts of a mixture"):
        plan(nn.Model(mixture, (6,), calibration=x))


def labelled(folder: Path) -> Path:
    """Rows of the blobs with their labels, to learn by."""
    x, y = network().evaluation
    np.savez(folder / "train.npz", x=x, y=y)
    return folder / "train.npz"


@pytest.mark.full
def test_learned_widths_are_a_plan(tmp_path: Path, monkeypatch: Any, capfd: Any) -> None:
    """`--learn`: widths by price, the firmware counted, the same file and folder as other plans."""
    monkeypatch.chdir(tmp_path)
    edgeq.save(network(), tmp_path / "model.pt")
    words = ("plan", "model.pt", "--board", BOARD, "--bits", "4,8", "--run", "run", "--learn")
    told = (labelled(tmp_path), "--against", "flash", "--price", "50", "--epochs", "3")
    ended = run_told(monkeypatch, capfd, *words, *told)
    assert ended.code == 0, ended.err
    plan = read_plan(tmp_path / "plan.toml")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    bytes_ = {
        layer["layer"]: {c["width"]: c["weight_bytes"] for c in layer["choices"]}
        for layer in result["layers"]
    }
    cheaper = {n: "int4" if b["int4"] < b["int8"] else "int8" for n, b in bytes_.items()}
    assert plan.widths == cheaper
    assert set(cheaper.values()) == {"int4", "int8"}, "a depthwise one has no int4 kernel"
    assert result["learned"]["against"] == "flash"
    assert set(result["learned"]["bits"]) == set(plan.widths)
    assert result["counted"]["cycles"] == pytest.approx(result["predicted"]["cycles"], rel=0.005)
    assert "at a price of 50 on flash (DiffQ)" in (tmp_path / "run" / "page.html").read_text()
    with pytest.raises(CostBudget, match=r"learned widths are over the budget by .* flash_bytes"):
        edgeq.plan("model.pt", BOARD, bits="8", learn="train.npz", epochs=1, max_flash="9KB")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"against": "beauty"}, "--against is 'beauty'; choose from flash, latency, energy"),
        ({"price": -1.0}, "--price -1, --epochs 10: give a price of 0 or more"),
        ({"epochs": 0}, "--price 0.1, --epochs 0"),
    ],
)
def test_odd_prices_are_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        edgeq.plan(network(), BOARD, tmp_path / "p.toml", learn=tmp_path / "none.npz", **given)
    assert not (tmp_path / "p.toml").exists()

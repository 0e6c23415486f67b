"""`--max-disagreement`: the threshold that ships is the one that was proven, or there is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn, pipeline
from edgeq.errors import BadInput, CostBudget
from edgeq.estimating.promised import Promised, _of_mixture
from edgeq.export_request import PromiseRequest
from edgeq.passes.experts_alone import experts_alone
from edgeq.passes.freeze_router import freeze_router, observe
from edgeq.passes.stored_graph import stored_graph
from edgeq.reference import quantize_rows, run
from edgeq.sources import source_of
from edgeq.thresholds import Promise, by_risk
from tests.factory import input_rows, mixture_graph

KINDS = ("ternary", "int8")


def rows_like(seed: int, rows: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pair.pt, whose experts are near copies, and rows.npz, that it never saw."""
    torch.manual_seed(5)
    experts = [nn.Sequential(nn.Linear(12, 24, k), nn.ReLU(), nn.Linear(24, 3, 8)) for k in KINDS]
    with torch.no_grad():
        for cheap, precise in zip(experts[0].parameters(), experts[1].parameters(), strict=True):
            cheap.copy_(precise.sign() * precise.abs().mean() if precise.dim() > 1 else precise)
            precise.copy_(cheap * (1 + 0.05 * torch.randn_like(cheap)))
    mixture = nn.Mixture(experts, nn.BayesianRouter(12, 2), KINDS, rule="escalation", quantile=0.2)
    model = nn.Model(mixture, (12,), name="pair", calibration=rows_like(2, 80))
    model.calibrate()
    place = tmp_path_factory.mktemp("promised")
    edgeq.save(model, place / "pair.pt")
    np.savez(place / "rows.npz", x=rows_like(3, 400), y=np.arange(400) % 3)
    return place


@pytest.fixture(scope="module")
def export(folder: Path) -> Callable[..., Any]:
    def run_export(data: str | None = "rows.npz", out: str = "out", **asked: Any) -> dict[str, Any]:
        where = None if data is None else folder / data
        model, target = folder / "pair.pt", "virtual_m4"
        return pipeline.export(model, target, folder / out, threshold_data=where, **asked)

    return run_export


def test_what_ships_keeps_the_promise_on_the_rows(export: Callable[..., Any], folder: Path) -> None:
    report = export(max_disagreement="20%")
    found, graph = report["threshold"], stored_graph(folder / "out" / "graph.npz")
    node = next(n for n in graph.nodes if n.op == "Mixture")
    chosen = found["curve"][found["chosen"]]
    assert graph.param(node, "router.threshold").tolist() == chosen["threshold"]
    rows = np.load(folder / "rows.npz")
    scale = graph.tensors[graph.inputs[0]].quant
    assert scale is not None
    x = np.clip(np.round(rows["x"].astype(float) / scale.per_tensor) + scale.zero_point, -128, 127)
    ran = run(graph, x.astype(np.int8))
    precise = experts_alone(graph, x.astype(np.int8))[1].answers
    differs = ran.output.argmax(axis=1) != precise
    assert differs.mean() == chosen["disagreement"]
    assert (ran.output.argmax(axis=1) == rows["y"]).mean() == chosen["accuracy"]
    assert (found["limit"], found["confidence"], found["rows"]) == (0.2, 0.95, 400)
    assert found["disagreements"] <= differs.sum()
    assert found["bound"] <= 0.2
    header = (folder / "out" / "firmware" / "model" / "pair.h").read_text()
    assert "answers otherwise than int8 on less than 0.2 of inputs, with 0.95" in header
    assert "rows.npz" in header
    assert str(folder) not in header
    text = " ".join((folder / "out" / "report.txt").read_text().split())
    assert "promise: answers otherwise than int8" in text
    costs = [point["latency_s"] for i, point in enumerate(found["curve"])]
    assert chosen["latency_s"] == min(costs[: found["chosen"] + 1])


def test_too_few_rows_name_the_number(export: Callable[..., Any], folder: Path) -> None:
    np.savez(folder / "few.npz", x=rows_like(4, 92))
    with pytest.raises(BadInput, match=r"few\.npz holds 92 different rows; .* takes 149 rows even"):
        export("few.npz", max_disagreement="2%")
    np.savez(folder / "repeated.npz", x=np.repeat(rows_like(4, 92), 2, axis=0))
    with pytest.raises(BadInput, match="92 different rows"):
        export("repeated.npz", max_disagreement="2%")


def test_of_a_group_one_row_counts(export: Callable[..., Any], folder: Path) -> None:
    """Windows of 100 recordings are 100 rows, and the drawn ones keep their labels."""
    x, y = rows_like(3, 400), np.arange(400) % 3
    np.savez(folder / "windows.npz", x=x, y=y, groups=np.arange(400) // 4)
    with pytest.raises(
        BadInput, match=r"holds 100 different rows from 100 groups; .* takes 149 rows"
    ):
        export("windows.npz", max_disagreement="2%")
    request = PromiseRequest.read("20%", None, folder / "windows.npz")
    assert request is not None
    source, graph = source_of(folder / "pair.pt"), stored_graph(folder / "out" / "graph.npz")
    promised = request.rows(source, rows_like(2, 80), graph)
    whole = quantize_rows(graph, x)
    at = [int((whole == row).all(axis=1).argmax()) for row in promised.rows]
    assert sorted({i // 4 for i in at}) == list(range(100))
    assert len({i % 4 for i in at}) == 4, "not the first of each"
    assert promised.labels is not None
    assert promised.labels.tolist() == y[at].tolist()


def test_calibration_rows_prove_nothing(export: Callable[..., Any], folder: Path) -> None:
    np.savez(folder / "seen.npz", x=np.concatenate([rows_like(3, 300), rows_like(2, 80)[:7]]))
    with pytest.raises(BadInput, match=r"7 of the 307 rows of .* calibration rows too"):
        export("seen.npz", max_disagreement="2%")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"data": None, "max_disagreement": "2%"}, r"--threshold-data X\.npz \(key x\), 149 rows"),
        ({"confidence": "90%"}, "go with --max-disagreement"),
        ({}, "go with --max-disagreement"),
        ({"max_disagreement": "0.02"}, "--max-disagreement '0.02' is no share"),
        ({"max_disagreement": "2%", "confidence": "1"}, "--confidence '1' is no share"),
    ],
)
def test_half_a_question(export: Callable[..., Any], asked: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        export(**asked)


def test_a_budget_below_the_promise(export: Callable[..., Any]) -> None:
    with pytest.raises(CostBudget, match=r"no threshold that keeps the promise .* threshold data"):
        export(max_disagreement="20%", max_mean_latency="1us")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"rule": "precision_prior"}, 'precision_prior.*rule="escalation"'),
        ({"rule": "escalation", "gate": "probability"}, "gate 'probability'"),
    ],
)
def test_mixtures_without_a_threshold(changed: dict[str, str], said: str) -> None:
    graph = mixture_graph(np.random.default_rng(0), **changed)
    rows = input_rows(np.random.default_rng(1), graph, 40)
    seen, node = observe(graph, rows), next(n for n in graph.nodes if n.op == "Mixture")
    assert seen is not None
    with pytest.raises(BadInput, match=said):
        _of_mixture(graph, node, seen, {}, Promised(Promise(0.2), rows, "rows"))


@pytest.mark.parametrize("seed", range(6))
def test_stages_are_what_the_frozen_graph_does(seed: int) -> None:
    """Any threshold of the path: routes, costs and disagreements as the reference has them."""
    graph = mixture_graph(np.random.default_rng(seed), rule="escalation")
    rng = np.random.default_rng(seed + 100)
    seen, rows = observe(graph, input_rows(rng, graph, 60)), input_rows(rng, graph, 50)
    node = next(n for n in graph.nodes if n.op == "Mixture")
    assert seen is not None
    cycles = {(e,): 10.0 ** (e + 1) for e in range(3)}
    found = _of_mixture(graph, node, seen, cycles, Promised(Promise(0.5, 0.6), rows, "rows"))
    alone = np.stack([a.answers for a in experts_alone(graph, rows)], axis=1)
    assert list(found.steps) == sorted(found.steps)
    choice = by_risk(found.stages, found.steps, Promise(0.9, 0.6))
    router = replace(
        node.attrs.router, quantile=found.quantiles[found.steps.index(choice.thresholds)]
    )
    frozen, _ = freeze_router(graph, seen, router)
    at = next(n for n in frozen.nodes if n.op == "Mixture")
    assert tuple(frozen.param(at, "router.threshold").tolist()) == choice.thresholds
    ran = run(frozen, rows)
    answers = ran.output.argmax(axis=1)
    np.testing.assert_array_equal(answers, alone[np.arange(50), ran.route])
    assert choice.disagreement == (answers != alone[:, node.attrs.most_precise]).mean()
    assert choice.mean_cost == pytest.approx(np.mean([cycles[(e,)] for e in ran.route.tolist()]))

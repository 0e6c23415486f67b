"""`--max-disagreement` and mean budgets of a cascade: what ships is what was chosen."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import edgeq
from edgeq import pipeline
from edgeq.errors import CostBudget
from edgeq.estimating.promised import (
    Promised,
    _of_cascade,
    settled,
    with_limits,
    within_mean,
)
from edgeq.ir import Graph
from edgeq.passes import Quantized
from edgeq.passes.experts_alone import experts_alone
from edgeq.passes.freeze_cascade import effect
from edgeq.passes.stored_graph import stored_graph
from edgeq.reference import run, run_all_stages
from edgeq.reporting.alone import alone_entries
from edgeq.reporting.run_rows import Costs, Rows
from edgeq.thresholds import Promise, by_risk
from edgeq.thresholds.staged import limits_of
from tests.factory import cascade_graph, input_rows
from tests.unit.cascade.made import cascade_model, recorded, rows

CYCLES = {(0,): 10.0, (0, 1): 30.0, (0, 1, 2): 100.0}


def calibrated(graph: Graph, seed: int) -> Quantized:
    """As the passes leave it, its calibration rows random."""
    node, x = graph.nodes[-1], input_rows(np.random.default_rng(seed), graph, 80)
    limits = graph.param(node, "thresholds").tolist()
    return Quantized(graph, None, None, (), effect(node.attrs, limits, run_all_stages(graph, x)))


@pytest.mark.parametrize("formats", [("t2", "s8"), ("t2", "s4", "s8")])
@pytest.mark.parametrize("seed", range(3))
def test_every_step_is_what_the_reference_does(formats: tuple[str, ...], seed: int) -> None:
    graph = cascade_graph(np.random.default_rng(seed), formats)
    made, x = calibrated(graph, 1), input_rows(np.random.default_rng(2), graph, 60)
    promised = Promised(Promise(0.5, 0.6), x, "rows")
    found = _of_cascade(made, graph.nodes[-1], CYCLES, promised)
    last = run_all_stages(graph, x).outputs[:, -1].argmax(axis=1)
    assert len(found.steps) > 10
    for step in found.steps[:: max(1, len(found.steps) // 6)]:
        shipped = settled(made, found, step)
        answered = run(shipped.graph, x)
        route = found.stages.answering(step)
        assert (answered.route == route).all()
        differs = answered.output.argmax(axis=1) != last
        assert found.stages.disagreements(step) == differs.sum()
        costs = [CYCLES[tuple(range(r + 1))] for r in route.tolist()]
        assert found.stages.mean_cost(step) == pytest.approx(np.mean(costs))
        assert shipped.cascading is not None
        assert sum(shipped.cascading.routes) == 80
    assert (found.stages.answering(found.steps[0]) == len(formats) - 1).all()
    assert limits_of(graph.nodes[-1].attrs, found.steps[0]) == (256,) * (len(formats) - 1)


def test_the_safest_within_a_mean_budget() -> None:
    graph = cascade_graph(np.random.default_rng(5))
    made = calibrated(graph, 1)
    shares = []
    for most in (12.0, 20.0, 29.0, 30.0):
        choice = within_mean(made, CYCLES, most)
        assert choice is not None
        assert choice.mean_cost <= most
        limits = limits_of(graph.nodes[-1].attrs, choice.thresholds)
        cascading = with_limits(made, limits).cascading
        assert cascading is not None
        shares.append(cascading.routes[1] / 80)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert within_mean(made, CYCLES, 9.0) is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("promised")
    edgeq.save(cascade_model(2), place / "pair.pt")
    x = rows(seed=8, count=400)
    np.savez(place / "rows.npz", x=x, y=np.arange(400) % 3)
    return place


def test_an_export_ships_the_promise(folder: Path) -> None:
    asked = {"max_disagreement": "20%", "threshold_data": folder / "rows.npz"}
    report = pipeline.export(folder / "pair.pt", "virtual_m4", folder / "out", **asked)
    found, graph = report["threshold"], stored_graph(folder / "out" / "graph.npz")
    chosen = found["curve"][found["chosen"]]
    assert graph.param(graph.nodes[-1], "thresholds").tolist() == chosen["threshold"]
    assert report["cascade"]["thresholds"] == chosen["threshold"]
    assert found["curve"][0]["threshold"] == [256]
    assert found["curve"][0]["disagreement"] == 0
    assert found["bound"] <= 0.2
    assert chosen["latency_s"] < found["curve"][0]["latency_s"]
    header = (folder / "out" / "firmware" / "model" / f"{graph.name}.h").read_text()
    assert "on less than 0.2 of inputs, with 0.95 confidence" in header
    with pytest.raises(CostBudget, match="at no threshold that keeps the promise"):
        pipeline.export(
            folder / "pair.pt", "virtual_m4", folder / "no", max_mean_latency="1us", **asked
        )


@pytest.mark.parametrize("signal", ["gap", "ensemble"])
def test_experts_of_a_cascade_alone(signal: str) -> None:
    """Its own experts' layers and the shared ones, without the signal and what it alone reads."""
    graph = cascade_graph(np.random.default_rng(6), trunk="fc", signal=signal)
    x = input_rows(np.random.default_rng(7), graph, 50)
    labels = np.random.default_rng(8).integers(0, 5, 50)
    answered, layers, records = run(graph, x), *recorded(graph, x, labels)
    experts = graph.nodes[-1].attrs.experts
    names = [e.name for e in experts]
    assert {r.route for r in records} == {0, 1}
    costs = Costs(layers, None, 1000, None, True)
    found: Any = alone_entries(Rows(graph, x, labels, None, records), costs)
    for entry, alone in zip(found["alone"]["experts"], experts_alone(graph, x), strict=True):
        own = [i for i, a in enumerate(layers) if a.expert in (None, entry["name"])]
        deciding = next(i for i, a in enumerate(layers) if a.op == "cascade")
        heads = {e.graph.producer(e.heads).name for e in experts if e.heads}  # type: ignore[union-attr]
        own = [i for i in own if i != deciding and layers[i].name not in heads]
        assert entry["cycles"] == sum(100 + i for i in own) + 7
        assert entry["accuracy"] == (alone.answers == labels).mean()
    assert found["alone"]["mixture"]["accuracy"] == (answered.output.argmax(1) == labels).mean()
    assert {s["of"] for s in found["signals"]} == {"answer", *names}
    assert SimpleNamespace(**found["alone"]["gain"]).against in names


def test_a_promise_may_be_chosen_by_three_stages() -> None:
    graph = cascade_graph(np.random.default_rng(4), ("t2", "s4", "s8"))
    made, x = calibrated(graph, 1), input_rows(np.random.default_rng(3), graph, 200)
    promise = Promise(0.3)
    found = _of_cascade(made, graph.nodes[-1], CYCLES, Promised(promise, x, "rows"))
    choice = by_risk(found.stages, found.steps, promise)
    answers = run(settled(made, found, choice.thresholds).graph, x).output.argmax(axis=1)
    last = run_all_stages(graph, x).outputs[:, -1].argmax(axis=1)
    assert choice.disagreement == (answers != last).mean() <= 0.3

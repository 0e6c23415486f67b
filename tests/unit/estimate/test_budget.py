"""Budgets of an export: read with units, refused with numbers, met by weaker curiosity."""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import edgeq
from edgeq import nn, pipeline
from edgeq.board import load_board
from edgeq.errors import BadInput, CostBudget
from edgeq.estimating import Budget
from edgeq.estimating.budget import JOULES, SECONDS, read_quantity, strongest_router
from edgeq.estimating.entry import _router_price
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph
from edgeq.ops.routed import for_the_router
from edgeq.passes.choose_strength import STEPS, mean_cycles, weaker_routers
from edgeq.passes.freeze_router import Observed, freeze_router, observe
from tests.factory import cascade_graph, input_rows, mixture_graph

BOARD = load_board("virtual_m4")
ROWS = 60


@pytest.mark.parametrize(
    ("text", "units", "value"),
    [
        ("20ms", SECONDS, 0.02),
        (" 1.5 s ", SECONDS, 1.5),
        ("250us", SECONDS, 250e-6),
        (".5mJ", JOULES, 0.5e-3),
        ("3uJ", JOULES, 3e-6),
        ("2J", JOULES, 2.0),
    ],
)
def test_quantities_carry_their_unit(text: str, units: dict[str, Fraction], value: float) -> None:
    assert read_quantity("--max", text, units) == value


@pytest.mark.parametrize(
    "text", ["20", "", "ms", "-1ms", "0ms", "1e3ms", "1 mS", "nanms", "1mJ", "1ms 2ms", "1,5ms"]
)
def test_what_is_no_latency_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"--max-latency .* one of us, ms, s, such as 20us"):
        Budget.read(max_latency=text)


def test_joules_are_not_seconds() -> None:
    with pytest.raises(BadInput, match="one of uJ, mJ, J"):
        Budget.read(max_energy="1ms")


def entry(cycles: int) -> dict[str, Any]:
    route = {"name": "int8", "cycles": cycles, "latency_s": cycles / 1e8}
    route |= {"energy_j": cycles * 0.34e-9, "energy_band_j": [cycles * 0.28e-9, cycles * 0.43e-9]}
    return {"board": "virtual_m4", "worst": route, "routes": [route]}


def test_the_worst_case_is_held_against_the_budget_with_numbers() -> None:
    Budget.read("1ms", "43uJ").check_worst(entry(100_000))
    with pytest.raises(CostBudget, match=r"takes 1 ms \(100,000 cycles, answered by int8; mod"):
        Budget.read("0.9999ms").check_worst(entry(100_000))
    with pytest.raises(CostBudget, match=r"up to 0.043 mJ \(0.034 mJ modelled.*is 0.0429 mJ"):
        Budget.read(max_energy="42.9uJ").check_worst(entry(100_000))


def test_energy_cannot_be_limited_where_there_are_no_figures() -> None:
    with pytest.raises(BadInput, match="virtual_m0plus has no energy figures"):
        Budget.read(max_mean_energy="1mJ").check_board(load_board("virtual_m0plus"))
    Budget.read("1ms").check_board(load_board("virtual_m0plus"))


def seen_of(rule: str, seed: int) -> tuple[Graph, Observed]:
    graph = mixture_graph(np.random.default_rng(seed), rule=rule)
    seen = observe(graph, input_rows(np.random.default_rng(seed + 1), graph, ROWS))
    assert seen is not None
    return graph, seen


COSTS = st.lists(st.integers(1_000, 9_000), min_size=3, max_size=3)


@pytest.mark.parametrize("rule", ["precision_prior", "escalation"])
@given(seed=st.integers(0, 40), costs=COSTS, budgets=st.tuples(*[st.integers(1_000, 9_500)] * 2))
def test_the_strongest_curiosity_within_a_budget(
    rule: str, seed: int, costs: list[int], budgets: tuple[int, int]
) -> None:
    graph, seen = seen_of(rule, seed)
    attrs = next(n for n in graph.nodes if n.op == "Mixture").attrs
    cycles = {(i,): float(c) for i, c in enumerate(costs)}
    tried = weaker_routers(attrs.router)
    strength = {}
    for most in sorted(budgets):
        budget = Budget(max_mean_latency_s=most / BOARD.clock_hz)
        most_cycles = budget.most_mean_cycles(BOARD)
        try:
            router = strongest_router(attrs, seen, cycles, budget, BOARD)
        except CostBudget:
            assert all(mean_cycles(attrs, seen, r, cycles) > most_cycles for r in tried)
            continue
        at = tried.index(router)
        assert mean_cycles(attrs, seen, router, cycles) <= most_cycles
        assert at == 0 or mean_cycles(attrs, seen, tried[at - 1], cycles) > most_cycles
        strength[most] = router.alpha if rule == "precision_prior" else -router.quantile
    ordered = [strength[most] for most in sorted(strength)]
    assert ordered == sorted(ordered), "a larger budget gave a weaker curiosity"


@pytest.mark.parametrize("rule", ["precision_prior", "escalation"])
def test_the_mean_is_that_of_the_frozen_graph(rule: str) -> None:
    graph, seen = seen_of(rule, 3)
    attrs = next(n for n in graph.nodes if n.op == "Mixture").attrs
    cycles = {(0,): 10.0, (1,): 200.0, (2,): 3000.0}
    for router in weaker_routers(attrs.router)[::16]:
        _, curiosity = freeze_router(graph, seen, router)
        assert curiosity is not None
        total = sum(n * cycles[(e,)] for e, n in enumerate(curiosity.routes))
        assert mean_cycles(attrs, seen, router, cycles) == total / ROWS
    assert len(weaker_routers(attrs.router)) == STEPS + 1
    last = weaker_routers(attrs.router)[-1]
    assert (last.alpha if rule == "precision_prior" else 1 - last.quantile) == 0
    off = replace(attrs.router, rule="off")
    assert weaker_routers(off) == (off,)
    assert mean_cycles(attrs, seen, last, cycles) == mean_cycles(attrs, seen, off, cycles)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture whose precise expert costs most and is asked by curiosity."""
    torch.manual_seed(5)
    kinds = ("ternary", "int8")
    experts = [
        nn.Sequential(nn.Linear(12, 8 + 40 * i, kind), nn.ReLU(), nn.Linear(8 + 40 * i, 3, 8))
        for i, kind in enumerate(kinds)
    ]
    mixture = nn.Mixture(experts, nn.BayesianRouter(12, 2), kinds)
    x = np.random.default_rng(2).normal(size=(80, 12)).astype(np.float32)
    model = nn.Model(mixture, (12,), name="pair", calibration=x)
    model.calibrate()
    path = tmp_path_factory.mktemp("budget") / "model.pt"
    edgeq.save(model, path)
    return path


@pytest.fixture(scope="module")
def export(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    def run(**budget: str) -> dict[str, Any]:
        out = tmp_path_factory.mktemp("out") / "export"
        try:
            return pipeline.export(model_file, "virtual_m4", out, **budget)
        except CostBudget:
            assert not out.exists()
            raise

    return run


@pytest.fixture(scope="module")
def free(export: Callable[..., Any]) -> dict[str, Any]:
    """The report without a budget."""
    return dict(export())


def test_an_export_reports_what_it_costs(free: dict[str, Any]) -> None:
    report = free
    entry = report["estimate"]
    assert entry["board"] == "virtual_m4"
    assert sum(report["routes"].values()) == 80
    for expert, route in zip(report["experts"], entry["routes"], strict=True):
        assert expert["cycles"] == route["cycles"] > 0
        assert expert["energy_band_j"][0] < expert["energy_j"] < expert["energy_band_j"][1]
        assert math.isclose(expert["latency_s"], expert["cycles"] / 1e8, abs_tol=1e-8)
        assert route["share"] == report["routes"][expert["name"]] / 80
    assert all(layer["cycles"] > 0 for layer in report["layers"])
    assert report["curiosity"]["alpha"] == report["curiosity"]["model_alpha"] == 1.0
    assert report["budget"] == {}


def test_a_dear_router_is_named_with_its_numbers(free: dict[str, Any]) -> None:
    entry = free["estimate"]
    router = next(layer for layer in free["layers"] if layer["name"] == "router")
    cheapest = min(entry["routes"], key=lambda route: route["cycles"])
    share = router["cycles"] / cheapest["cycles"]
    assert share > 0.05
    (note,) = entry["warnings"]
    assert note.startswith("the router takes")
    assert note in free["notes"], "so that screen, report.txt and page show it"
    assert f"{router['cycles']:,} cycles, {share:.1%} of the cheapest route" in note
    assert f"({cheapest['name']}, {cheapest['cycles']:,})" in note


def _priced(cycles: dict[str, float]) -> list[str]:
    """The note on a mixture behind a convolution, whose router's input is pooled."""
    trunk = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
    experts = [nn.Sequential(nn.Flatten(), nn.Linear(64, 3, kind)) for kind in (2, 8)]
    body = nn.TrunkMixture(trunk, nn.Mixture(experts, nn.BayesianRouter(4, 2, hidden=(4,))))
    graph = graph_of(nn.Model(body, (1, 4, 4)).eval())
    named = [SimpleNamespace(name=n.name, op=n.op, expert=None) for n in graph.nodes[:-1]]
    layers = [*named, SimpleNamespace(name="router", op="mixture", expert=None)]
    subject: Any = SimpleNamespace(layers=layers, graph=graph)
    counted = tuple(cycles.get(layer.op, 0.0) for layer in layers)
    route: Any = SimpleNamespace(layers=counted, cycles=1000.0, experts=(0,))
    return _router_price(subject, [route])


def test_a_router_of_little_cost_has_no_note() -> None:
    assert _priced({"mixture": 50.0}) == []
    assert _priced({"mixture": 30.0, "AveragePool2D": 20.0, "Conv2D": 300.0}) == []


def test_the_pooling_of_its_input_is_a_part_of_a_routers_price() -> None:
    (note,) = _priced({"mixture": 30.0, "AveragePool2D": 21.0, "Conv2D": 300.0})
    assert note.startswith("the router takes 51 cycles (21 of them for its input), 5.1% of the")


def test_a_shared_trunk_is_no_part_of_a_routers_price() -> None:
    graph = mixture_graph(np.random.default_rng(0), trunk="fc")
    assert for_the_router(graph) == frozenset()
    assert for_the_router(cascade_graph(np.random.default_rng(0))) == frozenset()


def test_a_mean_budget_weakens_curiosity(export: Callable[..., Any], free: dict[str, Any]) -> None:
    cheap, dear = (e["latency_s"] for e in free["experts"])
    assert cheap < free["estimate"]["expected"]["latency_s"] <= dear
    base = free["routes"]["int8"] - free["curiosity"]["changed"]
    between = cheap + (dear - cheap) * (base + free["curiosity"]["changed"] / 2) / 80
    report = export(max_mean_latency=f"{between * 1e6:.6f}us")
    assert 0 < report["curiosity"]["alpha"] < 1
    assert report["curiosity"]["model_alpha"] == 1
    assert report["estimate"]["expected"]["latency_s"] <= between
    assert report["routes"]["int8"] < free["routes"]["int8"]


@pytest.mark.full
def test_budgets_that_hold_and_that_do_not(
    export: Callable[..., Any], free: dict[str, Any]
) -> None:
    """An export each; the unit tests above hold the same rules against entries."""
    cheap = free["experts"][0]["latency_s"]
    least = export(max_mean_latency="1s")
    assert least["curiosity"] == free["curiosity"], "a budget that holds changes nothing"
    with pytest.raises(CostBudget, match=r"at no strength of curiosity .* less than .* ms") as no:
        export(max_mean_latency=f"{cheap * 1e6:.6f}us")
    assert no.value.exit_code == 4
    with pytest.raises(CostBudget, match="the worst case on virtual_m4 takes"):
        export(max_latency=f"{cheap * 1e6:.6f}us")
    joules = free["experts"][1]["energy_band_j"][1]
    export(max_energy=f"{joules * 1e6 * 1.0001:.9f}uJ")
    with pytest.raises(CostBudget, match="--max-energy is"):
        export(max_energy=f"{joules * 1e6 * 0.9999:.9f}uJ")

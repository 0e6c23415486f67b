"""Exits at three depths of one network: each stage goes on where the one before has stopped."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn, pipeline
from edgeq.board import load_board
from edgeq.compiled import compile_graph
from edgeq.emit.firmware_layers import layer_table
from edgeq.errors import BadInput, EdgeqError, UnsupportedOp
from edgeq.estimating import Estimated, Shares, estimate_boards
from edgeq.ir import Graph
from edgeq.memory import plan_memory
from edgeq.ops.graph_file import write_graph
from edgeq.passes import Quantized
from edgeq.passes.experts_alone import experts_alone
from edgeq.passes.freeze_cascade import with_thresholds
from edgeq.passes.freeze_router import chosen_experts
from edgeq.passes.stored_graph import stored_graph
from edgeq.passes.verify import verify
from edgeq.prove.host import host_runner
from edgeq.prove.trials import Trial, answers_of
from edgeq.reference import quantize_rows, run, run_all_stages
from edgeq.reporting.run_rows import Costs, Rows, cycles_alone
from edgeq.toolchain import find_compiler
from tests.tflm.agreement import assert_agrees
from tests.tflm.interpreter import tflm_is_here
from tests.unit.cascade.made import quantized
from tests.unit.cascade.test_cascade_graph import changed

SHAPE = (1, 6, 6)
X = np.random.default_rng(0).normal(size=(60, *SHAPE)).astype(np.float32)


def block(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU())


def head() -> nn.Sequential:
    return nn.Sequential(nn.GlobalAvgPool(), nn.Linear(4, 3))


def three_depths(signal: str = "gap", **options: Any) -> nn.Model:
    torch.manual_seed(3)
    exits = [nn.Exit(block(1), head()), nn.Exit(block(4), head())]
    body = nn.Cascade([*exits, nn.Sequential(block(4), head())], signal, escalate=0.6, **options)
    model = nn.Model(body, SHAPE, calibration=X, name="depths")
    model.calibrate()
    return model


def integers(signal: str = "gap") -> Graph:
    model = three_depths(signal)
    model.calibration = X.transpose(0, 2, 3, 1)
    made: Quantized = quantized(model)
    return made.graph


GRAPH = integers()
ROWS = quantize_rows(GRAPH, X.transpose(0, 2, 3, 1))


@torch.no_grad()
def test_a_stage_reads_what_the_one_before_has_made() -> None:
    model = three_depths()
    body, x = model.body.eval(), torch.from_numpy(X)
    first = body.experts[0].block(x)
    second = body.experts[1].block(first)
    answers = [body.experts[0].head(first), body.experts[1].head(second), body.experts[2](second)]
    logits, route = model.predict(X)
    assert route is not None
    assert set(route.tolist()) == {0, 1, 2}
    wanted = np.stack([a.numpy() for a in answers])[route, np.arange(len(X))]
    np.testing.assert_allclose(logits, wanted, atol=1e-5)


def test_training_reaches_every_depth() -> None:
    body = three_depths().body.train()
    body(torch.from_numpy(X)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in body.experts.parameters())
    assert len(body.expert_logits) == 3


def test_the_integers_go_on_from_what_is_carried() -> None:
    stages = run_all_stages(GRAPH, ROWS)
    for limits in ((0, 0), (256, 0), (256, 256), (60, 40)):
        graph = with_thresholds(GRAPH, limits)
        answered = run(graph, ROWS)
        at = np.arange(len(ROWS)), answered.route
        assert (answered.output == stages.outputs[at]).all()
    alone = experts_alone(GRAPH, ROWS)
    for stage, each in enumerate(alone):
        assert (each.output == stages.outputs[:, stage]).all()


def test_host_and_tensorflow_lite_micro_give_every_bit(tmp_path: Path) -> None:
    """And run a block once: the operators are those of the stages that a row needs."""
    asked = host_runner(GRAPH, compile_graph(GRAPH, "m", "56" * 32).project, tmp_path)
    for limits in ((60, 40), (256, 256), (256, 0), (0, 0)):
        wanted = list(answers_of(GRAPH, ROWS, limits))
        assert list(asked([Trial((), row, limits, wanted[0]) for row in ROWS])) == wanted
        if tflm_is_here():
            runs = assert_agrees(with_thresholds(GRAPH, limits), ROWS[:5])
            for got, answer in zip(runs, wanted, strict=False):
                assert got.trace.count("CONV_2D") == answer.route + 1


def test_what_is_carried_stays_in_its_place() -> None:
    graph = integers("monte_carlo")
    experts, plans = graph.nodes[-1].attrs.experts, plan_memory(graph).experts
    for expert, plan, following in zip(experts, plans, plans[1:], strict=False):
        kept = plan.buffer(plan.places[expert.carry])
        assert kept.last == len(expert.graph.nodes)
        given = following.buffer(".carried")
        assert (given.offset, given.bytes) == (kept.offset, kept.bytes)
        for other in following.buffers:
            apart = other.offset >= given.offset + given.bytes
            assert other is given or apart or other.offset + other.bytes <= given.offset


@pytest.mark.parametrize("signal", [pytest.param("gap", marks=pytest.mark.full), "monte_carlo"])
def test_an_export(signal: str, tmp_path: Path) -> None:
    model = three_depths(signal)
    edgeq.save(model, tmp_path / "m.pt")
    again = edgeq.load(tmp_path / "m.pt")
    np.testing.assert_array_equal(again.predict(X)[0], model.predict(X)[0])
    report = pipeline.export(tmp_path / "m.pt", "virtual_m4", tmp_path / "out")
    assert all(check["passed"] for check in report["checks"])
    assert len(report["cascade"]["thresholds"]) == 2
    assert edgeq.verify(tmp_path / "out", model=tmp_path / "m.pt")["passed"]


def test_the_time_of_each_depth_is_proven() -> None:
    chosen = chosen_experts(GRAPH, ROWS)
    shares = Shares.of_rows("rows", chosen)
    subject = Estimated("m", "56" * 32, GRAPH, ROWS, "rows", chosen, shares)
    board, compiler = load_board("virtual_m4"), find_compiler("auto")
    (entry,) = estimate_boards(subject, [board], compiler, prove=True)["boards"]
    assert entry["constant_time"]["core_cycles"] == "proven", entry["constant_time"]["said"]
    assert entry["constant_time"]["trace"]["chooses_experts"] == 2
    assert len(entry["routes"]) == 3


def test_a_depth_alone_costs_the_blocks_before_it_and_no_other_head() -> None:
    layers = layer_table(GRAPH)
    counts = tuple(100 + i for i in range(len(layers)))
    record: Any = SimpleNamespace(route=2, layer_cycles=counts, cycles=sum(counts) + 7, label=0)
    rows = Rows(GRAPH, ROWS[:1], np.zeros(1, int), None, [record])
    costs = Costs(layers, None, 1000, None, True)
    names = [e.name for e in GRAPH.nodes[-1].attrs.experts]
    found = cycles_alone(rows, costs, 2, names[2])
    skipped = [i for i, a in enumerate(layers) if ".head." in a.name or a.op == "cascade"]
    assert len(skipped) > 3
    assert found == sum(c for i, c in enumerate(counts) if i not in skipped) + 7


def test_a_file_gives_exits_back_and_others_are_refused(tmp_path: Path) -> None:
    write_graph(GRAPH, tmp_path / "g.npz")
    assert (run(stored_graph(tmp_path / "g.npz"), ROWS).output == run(GRAPH, ROWS).output).all()
    experts = GRAPH.nodes[-1].attrs.experts
    for wrong in (replace(experts[0], carry=""), replace(experts[0], carry="input")):
        with pytest.raises(EdgeqError, match=r"carries|does not match"):
            verify(changed(GRAPH, experts=(wrong, *experts[1:])), "lowered")


def test_what_does_not_fit_is_refused() -> None:
    plain = nn.Sequential(block(4), head())
    with pytest.raises(BadInput, match="some experts before the last are exits"):
        nn.Cascade([nn.Exit(block(1), head()), nn.Sequential(block(4), head()), plain])
    late = nn.Exit(nn.Conv2d(1, 4, 3, padding=1), nn.Sequential(nn.ReLU(), head()))
    with pytest.raises(UnsupportedOp, match="norms and activations of it end it"):
        nn.Model(nn.Cascade([late, plain]), SHAPE)
    flat = nn.Exit(nn.Sequential(block(1), nn.Flatten()), nn.Linear(144, 3))
    with pytest.raises(UnsupportedOp, match="ends in a flattened map"):
        nn.Model(nn.Cascade([flat, nn.Linear(144, 3)]), SHAPE)

"""A mixture or cascade one frame at a time: what it hears is kept, experts keep nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.arrays import channels_last
from edgeq.errors import BadInput
from edgeq.export_folder import read_report
from edgeq.frontend.torch_loader import graph_of
from edgeq.passes import quantize
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stream import stream
from edgeq.passes.verify import verify
from edgeq.prove.check import Check
from edgeq.reference import memories
from edgeq.streaming import check_step, window_of

X = np.random.default_rng(0).normal(size=(60, 4, 12)).astype(np.float32)


def expert(kind: str, width: int, given: int = 6, cells: int = 10) -> nn.Sequential:
    taps = nn.Conv1d(given, width, 3, kind)
    return nn.Sequential(taps, nn.ReLU(), nn.Flatten(), nn.Linear(width * (cells - 2), 3, kind))


def trunk() -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(4, 6, 3, "int8"), nn.ReLU())


def cascade(**options: object) -> torch.nn.Module:
    return nn.Cascade([expert("ternary", 4), expert("int8", 8)], trunk=trunk(), **options)  # type: ignore[arg-type]


def bare_cascade() -> torch.nn.Module:
    return nn.Cascade([expert("ternary", 4, 4, 12), expert("int8", 8, 4, 12)])


def exits() -> torch.nn.Module:
    first = nn.Sequential(nn.Conv1d(4, 4, 3, "int8"), nn.ReLU())
    head = nn.Sequential(nn.Flatten(), nn.Linear(4 * 10, 3))
    return nn.Cascade([nn.Exit(first, head), expert("int8", 8, 4)])


def mixture(**options: object) -> torch.nn.Module:
    router = nn.BayesianRouter(6, 2, (16,), dropout=0.5, passes=4)
    experts = [expert("ternary", 4), expert("int8", 8)]
    rule = {"rule": "escalation", "quantile": 0.6, **options}
    return nn.TrunkMixture(trunk(), nn.Mixture(experts, router, **rule))  # type: ignore[arg-type]


def model(body: torch.nn.Module) -> nn.Model:
    made = nn.Model(body, (4, 12), name="ears", calibration=X, frame_s=0.02)
    made.calibrate(X)
    return made


Body = Callable[..., torch.nn.Module]
BODIES: dict[str, Body] = {
    "cascade": cascade, "without a trunk": bare_cascade, "exits": exits, "mixture": mixture,
}  # fmt: skip


def stepped(name: str, hop: int) -> tuple[Check, set[str]]:
    torch.manual_seed(0)
    window = quantize(graph_of(model(BODIES[name]())), channels_last(X), "mse").graph
    step = verify(select_kernels(stream(window, hop), frozenset()), "lowered")
    return check_step(step, window), {n.op for n in step.nodes if n.name in memories(step)}


@pytest.mark.parametrize("hop", [1, 3])
@pytest.mark.parametrize("name", BODIES)
def test_a_step_is_the_window(name: str, hop: int) -> None:
    check, kept = stepped(name, hop)
    assert check.passed, check.said
    assert kept == {"History"}


def test_a_window_that_decides_otherwise_is_seen() -> None:
    torch.manual_seed(0)
    window = quantize(graph_of(model(cascade())), channels_last(X), "mse").graph
    step = select_kernels(stream(window, 1), frozenset())
    name = next(n for n in window.constants if n.endswith("thresholds"))
    moved = {name: window.constants[name] * 0 + 255}
    assert not check_step(step, window.with_constants(moved, {name: window.tensors[name]})).passed


@pytest.mark.parametrize("options", [{"hold": -1}, {"hold": True}, {"hold": 10_001}, {"hold": 1.5}])
def test_a_hold_that_is_none_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="give whole rows, 0 to 10,000"):
        cascade(**options)


def test_a_rule_that_never_escalates_has_no_hold(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r'hold=2 is of rule="escalation"'):
        mixture(rule="precision_prior", hold=2)
    plain = model(mixture(rule="precision_prior"))
    with pytest.raises(BadInput, match="--hold 2: its mixture's rule"):
        edgeq.export(plain, "cortex-m4", tmp_path / "x", hold=2)
    alone = model(nn.Sequential(nn.Flatten(), nn.Linear(48, 3)))
    with pytest.raises(BadInput, match="--hold 2: it has no experts"):
        edgeq.export(alone, "cortex-m4", tmp_path / "x", hold=2)


@pytest.mark.parametrize("body", [cascade, mixture])
def test_the_model_file_keeps_the_hold(body: Body, tmp_path: Path) -> None:
    edgeq.save(model(body(hold=7)), tmp_path / "m.pt")
    graph = graph_of(edgeq.load(tmp_path / "m.pt"))
    assert [n.attrs.hold for n in graph.nodes if hasattr(n.attrs, "hold")] == [7]


@pytest.mark.full
@pytest.mark.parametrize("body", [cascade, mixture])
def test_a_recording_through_the_board(body: Body, tmp_path: Path) -> None:
    """Export, verify and profile of a stream that holds: every answer is the reference's."""
    torch.manual_seed(0)
    edgeq.save(model(body()), tmp_path / "ears.pt")
    folder = tmp_path / "ears"
    edgeq.export(tmp_path / "ears.pt", "virtual_m4", folder, stream="hop=20ms", hold=3)
    assert edgeq.verify(folder, model=tmp_path / "ears.pt")["passed"]
    assert window_of(folder) is not None
    street = np.random.default_rng(2).normal(size=(4, 150)).astype(np.float32)
    np.savez(tmp_path / "street.npz", x=street)
    flashed = edgeq.flash("virtual_m4", folder)
    try:
        said = edgeq.profile(flashed["port"], folder, stream=tmp_path / "street.npz")
    finally:
        edgeq.stop(flashed["port"])
    assert said["mismatches"] == 0
    found = said["stream"]
    assert sum(found["routes"].values()) == found["answers"] == 150 - 11
    assert min(found["routes"].values()) > 0
    assert "EARS_HOLD 3" in (folder / "firmware" / "model" / "ears.h").read_text()
    assert read_report(folder)["stream"]["hop"] == 1

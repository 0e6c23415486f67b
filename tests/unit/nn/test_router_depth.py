"""Routers of any depth: from the file to every emitted form, the same answers."""

from pathlib import Path

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn, pipeline
from edgeq.errors import BadInput
from edgeq.passes.stored_graph import stored_graph

KINDS = ("ternary", "int8")


def model(router: nn.PlainRouter) -> nn.Model:
    torch.manual_seed(3)
    experts = [nn.Sequential(nn.Linear(10, 6, k), nn.ReLU(), nn.Linear(6, 3)) for k in KINDS]
    x = np.random.default_rng(4).normal(size=(120, 10)).astype(np.float32)
    made = nn.Model(nn.Mixture(experts, router, KINDS), (10,), name="deep", calibration=x)
    made.body.train()(torch.from_numpy(x))
    made.calibrate()
    return made


@pytest.mark.full
@pytest.mark.parametrize(
    ("kind", "hidden"),
    [
        (nn.PlainRouter, ()),
        (nn.BayesianRouter, (7,)),
        (nn.BayesianRouter, (9, 5, 6)),
    ],
)
def test_every_form_agrees(
    tmp_path: Path, kind: type[nn.PlainRouter], hidden: tuple[int, ...]
) -> None:
    torch.manual_seed(2)
    made = model(kind(10, 2, hidden))
    edgeq.save(made, tmp_path / "deep.pt")
    again = edgeq.load(tmp_path / "deep.pt")
    x = torch.randn(20, 10)
    assert torch.equal(made(x), again(x))
    report = pipeline.export(tmp_path / "deep.pt", "virtual_m4", tmp_path / "out")
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["firmware"]["mismatches"] == 0
    assert checks["onnx"]["max_lsb"] <= 1
    assert checks["onnx"]["route_agreement"] == 1
    assert checks["tflite"]["route_agreement"] >= 0.97, "its uncertainty is a float"
    graph = stored_graph(tmp_path / "out" / "graph.npz")
    router = next(n for n in graph.nodes if n.op == "Mixture").attrs.router
    assert (router.layers, len(router.quants)) == (len(hidden) + 1, len(hidden) + 1)


def test_the_published_names_stay() -> None:
    names = {name for name, _ in nn.BayesianRouter(10, 2).named_children()}
    assert names == {"fc1", "fc2", "fc3"}


def test_depths_that_are_none() -> None:
    with pytest.raises(BadInput, match="at most 7 hidden sizes, got 8"):
        nn.PlainRouter(10, 2, (4,) * 8)
    with pytest.raises(BadInput, match="needs a hidden layer; use PlainRouter"):
        nn.BayesianRouter(10, 2, ())

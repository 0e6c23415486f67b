"""Post-training quantisation that learns: equalised channels, rounding, and the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.errors import BadInput
from edgeq.nn import rounding
from edgeq.nn.equalization import equalize
from edgeq.nn.graph import graph_of_body
from edgeq.nn.post_training import best_scale
from edgeq.nn.weight_kinds import weight_kind
from tests.command_line import run_told

torch.set_num_threads(1)


def _model() -> nn.Model:
    torch.manual_seed(1)
    body = nn.Sequential(
        *nn.conv_block(2, 6, "ptq"),
        *nn.separable_block(6, 8, "ptq", depthwise_kind="ptq"),
        nn.Flatten(),
        nn.Linear(8 * 20, 3, "ptq"),
    ).eval()
    x = np.random.default_rng(1).normal(size=(96, 2, 5, 4)).astype(np.float32)
    graph = graph_of_body(body, (2, 5, 4), "small")
    return nn.graph_model(graph, (2, 5, 4), layout="channels first", calibration=x)


def test_equalised_layers_answer_the_same_and_reach_alike() -> None:
    model = _model()
    assert model.calibration is not None
    x = torch.from_numpy(model.calibration)
    layers = list(model.body.layers.values())
    with torch.no_grad():
        layers[0].weight[3] *= 50
        before = model(x)
        assert equalize(model.body) == 2  # not across the reshape
        torch.testing.assert_close(model(x), before, rtol=1e-4, atol=1e-4)
    reach = [layer.weight.detach().abs().flatten(1).amax(1) for layer in layers[:2]]
    assert float(reach[0].max() / reach[0].median()) < 50


def test_a_clamp_at_six_is_not_crossed() -> None:
    body = nn.Sequential(nn.Linear(4, 5, "ptq"), nn.ReLU6(), nn.Linear(5, 2, "ptq"))
    model = nn.graph_model(graph_of_body(body.eval(), (4,)))
    assert equalize(model.body) == 0


@pytest.mark.parametrize("kind", ["int4", "ternary"])
def test_learned_rounding_is_nearer_than_the_nearest(kind: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(rounding, "STEPS", 200)
    model = _model()
    layer = next(iter(model.body.layers.values()))
    rows = torch.randn(128, 5, 4, 2, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = layer(rows)
        layer.set_kind(kind)
        layer.scale.copy_(best_scale(layer.weight, weight_kind(kind)))
        weight = layer.weight.clone()
        plain = float((layer(rows) - wanted).square().mean())
        rounding.learn_rounding(layer, rows, wanted)
        learned = float((layer(rows) - wanted).square().mean())
    assert learned < plain
    moved = ((layer.weight.detach() - weight).abs() / layer.scale.reshape(-1, 1, 1, 1)).max()
    assert float(moved) < 1.0  # up or down, never further
    assert int(layer.quantized()[0].abs().max()) <= layer.top


def test_best_is_no_worse_than_fast_on_the_output(monkeypatch: Any) -> None:
    monkeypatch.setattr(rounding, "STEPS", 200)
    model = _model()
    assert model.calibration is not None
    x = torch.from_numpy(model.calibration)
    off = {}
    with torch.no_grad():
        for method in ("fast", "best"):
            made = edgeq.quantize(model, weights="int3", ptq=method, progress=False)
            assert {m.kind for m in made.body.layers.values()} == {"int3"}
            off[method] = float((made(x) - model(x)).square().mean())
    assert off["best"] < off["fast"]


def test_the_command_quantises_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model, out = tmp_path / "float.pt", tmp_path / "q.pt"
    edgeq.save(_model(), model)
    words = ("quantize", model, "-o", out, "--weights", "int4", "--keep")
    ended = run_told(
        monkeypatch, capfd, *words, f"{next(iter(_model().body.layers))}=int8", "--json"
    )
    assert ended.code == 0, ended.err
    kinds = json.loads(ended.out)["layers"]
    assert list(kinds.values()) == ["int8", "int4", "int4", "int4"]
    assert [m.kind for m in edgeq.load(out).body.layers.values()] == list(kinds.values())
    ended = run_told(monkeypatch, capfd, *words, "stem")
    assert ended.code == 2
    assert "LAYER=KIND" in ended.err


def test_an_export_quantises_and_names_classes(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\n")
    report = edgeq.export(
        _model(), "cortex-m4", tmp_path / "e", weights="int4", labels=labels, accept_mismatch=True
    )
    assert report["class_names"] == ["a", "b", "c"]
    formats = [e["weight_format"] for e in report["layers"] if e["weight_format"]]
    assert formats == ["s4"] * 4
    labels.write_text("a\nb\n")
    with pytest.raises(BadInput, match="2 class names for a model that gives 3"):
        edgeq.export(_model(), "cortex-m4", tmp_path / "f", labels=labels)
    with pytest.raises(BadInput, match="give a class name a line"):
        edgeq.export(_model(), "cortex-m4", tmp_path / "f", labels=tmp_path / "none.txt")

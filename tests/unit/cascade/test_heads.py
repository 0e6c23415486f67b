"""Signals of several heads: by hand, in PyTorch, and as an export leaves them."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import edgeq
from edgeq import nn, pipeline
from edgeq.errors import BadInput, ModelFile
from edgeq.frontend.torch_loader import graph_of
from edgeq.nn.checkpoint import _content
from edgeq.nn.heads import last_linear, with_features
from edgeq.ops.mc_dropout import dropout_masks
from edgeq.ops.signals import ENSEMBLE, MONTE_CARLO
from edgeq.reference import quantize_rows, run_all_stages
from tests.unit.cascade.made import CLASSES, FEATURES, cascade_model, expert, quantized, rows

HEADS = hnp.arrays(np.int8, st.tuples(st.integers(1, 9), st.integers(2, 16), st.integers(2, 9)))


def sure(router: nn.BayesianRouter) -> nn.BayesianRouter:
    """With logits as large as a trained one's: then a step of rounding moves few routes."""
    for layer in router.linears:
        layer.weight.data *= 3.0
    return router


torch.manual_seed(1)
OPTIONS: dict[str, dict[str, Any]] = {
    "monte_carlo": {"passes": 6, "dropout": 0.3, "seed": 5},
    "ensemble": {},
    "router": {"heads": [nn.BayesianRouter(FEATURES, 2, (8,), 0.3, passes=6)]},
    "deep router": {"heads": [sure(nn.BayesianRouter(FEATURES, 2, (16, 12, 10), 0.4, passes=6))]},
}


def model_of(name: str, **options: Any) -> nn.Model:
    """The small cascade under that row of OPTIONS, untrained heads."""
    own = copy.deepcopy(OPTIONS[name])
    return cascade_model(2, signal=name.removeprefix("deep "), **own, **options)


def spread(heads: np.ndarray, scale: float) -> np.ndarray:
    return np.asarray(MONTE_CARLO.of(heads, MONTE_CARLO.lower(scale, heads.shape[1])))


def test_by_hand() -> None:
    """Two heads, sure of different classes: a variance of a half for either class."""
    apart = np.array([[[127, -128], [-128, 127]]], np.int8)
    assert spread(apart, 1.0)[0] / 2**24 == pytest.approx(1.0)
    heads = np.array([[[5, 1, 0], [-3, 2, 0]], [[1, 1, 0], [2, 2, 0]]], np.int8)
    assert ENSEMBLE.of(heads, {}).tolist() == [1, 0]


@given(HEADS, st.floats(1e-3, 1.0))
def test_it_is_the_variance_and_nothing_where_heads_agree(heads: np.ndarray, scale: float) -> None:
    got, real = spread(heads, scale) / 2**24, MONTE_CARLO.real(heads * scale)
    np.testing.assert_allclose(got, real, atol=1e-3)
    assert not spread(np.repeat(heads[:, :1], heads.shape[1], axis=1), scale).any()
    values = spread(heads, scale)
    assert not MONTE_CARLO.goes_on(values, MONTE_CARLO.never).any()
    assert MONTE_CARLO.goes_on(values, MONTE_CARLO.always).all()
    sums = ENSEMBLE.of(heads, {})
    assert not ENSEMBLE.goes_on(sums, ENSEMBLE.never).any()
    assert ENSEMBLE.goes_on(sums, ENSEMBLE.always).all()
    np.testing.assert_allclose(ENSEMBLE.real(heads * 0.5), sums * ENSEMBLE.unit(0.5))


@torch.no_grad()
def test_monte_carlo_heads_are_the_last_layer_with_weights_dropped() -> None:
    """In eval arithmetic, on features that are computed once."""
    model, x = model_of("monte_carlo"), rows()
    body = model.body.eval()
    features, logits = with_features(body.experts[0], torch.from_numpy(x))
    last = last_linear(body.experts[0])
    torch.testing.assert_close(last(features), logits)
    masks = torch.from_numpy(dropout_masks(5, 6, last.in_features, 0, 0.3)).double()
    kept = last.act(features).double()
    made = body.monte_carlo(0).logits(features)
    for k, mask in enumerate(masks):
        alone = (kept * mask / 0.7) @ last.effective_weight().double().T + last.bias.double()
        torch.testing.assert_close(made[:, k].double(), alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_router_of_any_depth_spreads_as_it_does_in_a_mixture() -> None:
    """The passes one by one, by the router's own method; in the graph a pass reads no other's."""
    model, x = model_of("deep router"), torch.from_numpy(rows())
    body = model.body.eval()
    (router,) = body.heads
    _, spreads = body.answer(0, x)
    torch.testing.assert_close(spreads, router.uncertainty(x), atol=1e-6, rtol=1e-4)
    graph = graph_of(model)
    inner = graph.nodes[-1].attrs.experts[0].graph
    deeper = [n for n in inner.nodes if ".passes3" in n.name and n.op == "FullyConnected"]
    (node,) = deeper
    blocks = inner.param(node, "weight").reshape(6, 10, 6, 12)
    for k in range(6):
        assert not np.delete(blocks[k], k, axis=1).any()
        assert blocks[k, :, k].any()


@pytest.mark.parametrize("name", OPTIONS)
def test_the_integers_follow_pytorch(name: str) -> None:
    """Signals of the graph beside the module's own, and routes of the calibration rows."""
    model = model_of(name)
    made = quantized(model)
    node = made.graph.nodes[-1]
    scale = made.graph.tensors[node.outputs[0]].quant.per_tensor  # type: ignore[union-attr]
    signals = run_all_stages(made.graph, quantize_rows(made.graph, rows())).signals[:, 0]
    with torch.no_grad():
        _, real = model.body.eval().answer(0, torch.from_numpy(rows()))
    got = signals * node.attrs.rule.unit(scale)
    assert np.corrcoef(got, real.numpy())[0, 1] > 0.97
    assert np.median(np.abs(got - real.numpy())) < 0.1 * real.numpy().std()
    assert made.cascading is not None
    assert 0 < made.cascading.routes[1] < 80


def test_training_reaches_heads_and_routers_and_leaves_the_features() -> None:
    for name in ("ensemble", "router", "deep router"):
        body = model_of(name).body.train()
        body(torch.from_numpy(rows()))
        extra = body.expert_logits[2:]
        assert len(extra) == (4 if name == "ensemble" else 1)
        assert all(each.shape == (80, CLASSES) for each in extra)
        torch.stack(extra).sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in body.heads.parameters())
        assert all(p.grad is None for p in body.experts.parameters())


@pytest.mark.parametrize(
    "name",
    [pytest.param("ensemble", marks=pytest.mark.full), *sorted(OPTIONS.keys() - {"ensemble"})],
)
def test_an_export_with_heads(name: str, tmp_path: Path) -> None:
    """Proven against PyTorch, ONNX Runtime, LiteRT and the twin; the file gives the model back."""
    model = model_of(name, trunk=name == "router")
    edgeq.save(model, tmp_path / "m.pt")
    again = edgeq.load(tmp_path / "m.pt")
    np.testing.assert_array_equal(again.predict(rows())[0], model.predict(rows())[0])
    report = pipeline.export(tmp_path / "m.pt", "virtual_m4", tmp_path / "out")
    assert all(check["passed"] for check in report["checks"])
    assert report["cascade"]["signal"] == name.removeprefix("deep ")
    assert edgeq.verify(tmp_path / "out", model=tmp_path / "m.pt")["passed"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"signal": "monte_carlo", "passes": 1}, "1 heads or passes; a signal reads 2 to 16"),
        ({"signal": "monte_carlo", "passes": 17}, "17 heads or passes"),
        ({"signal": "monte_carlo", "dropout": 0.0}, "dropout must lie between 0 and 1"),
        ({"signal": "gap", "heads": [nn.Linear(4, 8)]}, "'gap' reads no heads"),
        ({"signal": "router"}, "heads are none; signal 'router' reads a BayesianRouter"),
        ({"signal": "ensemble", "heads": [nn.Linear(5, 9)]}, "maps 5 features to 9"),
        ({"signal": "ensemble", "heads": [nn.Linear(5, 4)]}, "1 heads or passes"),
        (
            {"signal": "router", "heads": [nn.PlainRouter(6, 2)]},
            "PlainRouter; signal 'router' reads",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        nn.Cascade([expert(5, "int8"), expert(9, "int8")], **options)


def test_an_expert_that_ends_in_no_linear_is_refused() -> None:
    odd = nn.Sequential(expert(5, "int8"), nn.ReLU())
    with pytest.raises(BadInput, match="an expert ends in ReLU; heads stand beside a Linear"):
        nn.Cascade([odd, expert(9, "int8")], "monte_carlo")


def test_a_file_of_before_has_no_heads_and_a_hostile_one_is_refused(tmp_path: Path) -> None:
    content = _content(cascade_model(2))
    for key in ("heads", "passes", "dropout", "seed"):
        del content["config"]["body"][key]
    torch.save(content, tmp_path / "m.pt")
    assert edgeq.load(tmp_path / "m.pt").body.members == 0
    content["config"]["body"] |= {"signal": "router"}
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(ModelFile, match="reads a BayesianRouter"):
        edgeq.load(tmp_path / "m.pt")

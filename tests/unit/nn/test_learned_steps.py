"""Learned steps (ParetoQ): levels and gradients as published, model file, exported codes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import edgeq
from edgeq import nn
from edgeq.errors import BadInput, ModelFile
from edgeq.frontend.torch_loader import graph_of
from edgeq.nn.learned_steps import learned_codes, learned_weight, steps_at_start
from tests.unit.nn.test_weight_kinds import LEVELS

KINDS = ("int1", "ternary", "int2", "int3", "int4", "int5", "int8")
A_PER_STEP = {"int1": 1.0, "ternary": 1.5, "int2": 4.0}


def _round(x: torch.Tensor) -> torch.Tensor:
    """To the nearest, with a gradient of 1."""
    return x + (x.round() - x).detach()


def _published(w: torch.Tensor, step: torch.Tensor, kind: str) -> torch.Tensor:
    """ParetoQ's formulas of alpha, as written; what is differentiated is what is written."""
    top = nn.weight_kind(kind).top
    if kind not in A_PER_STEP:
        return _round((w / step).clamp(-top, top)) * step
    a = step * A_PER_STEP[kind]
    inside = (w / a).clamp(-1, 1)
    if kind == "int1":
        sign = torch.where(w >= 0, 1.0, -1.0)
        return a * (sign + inside - inside.detach()) - (w / a).detach() * 0
    levels, shift = (1.5, 0.0) if kind == "ternary" else (2.0, 0.5)
    return a * (_round(inside * levels * (1 - 1e-6) - shift) + shift) / levels


@given(
    kind=st.sampled_from(KINDS),
    rows=st.integers(1, 6),
    width=st.integers(1, 40),
    seed=st.integers(0, 500),
    ratio=st.sampled_from([0.2, 0.7, 1.0, 1.9]),
)
def test_levels_are_the_published_ones(
    kind: str, rows: int, width: int, seed: int, ratio: float
) -> None:
    w = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    k = nn.weight_kind(kind)
    log_step = steps_at_start(w, k) + np.log(ratio)
    codes, step = learned_codes(w, log_step, k)
    assert set(codes.int().flatten().tolist()) <= LEVELS[kind]
    assert bool((step > 0).all())
    wanted = _published(w, step[:, None], kind)
    torch.testing.assert_close(codes * step[:, None], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ratio", [0.4, 1.0, 1.7])
def test_gradients_are_those_of_the_formulas(kind: str, ratio: float) -> None:
    torch.manual_seed(3)
    w = torch.randn(5, 31, dtype=torch.float64, requires_grad=True)
    k = nn.weight_kind(kind)
    log_step = (steps_at_start(w, k) + np.log(ratio)).requires_grad_()
    toward = torch.randn(5, 31, dtype=torch.float64)
    (learned_weight(w, log_step, k, learned_codes(w, log_step, k)[0]) * toward).sum().backward()
    ours = w.grad.clone(), log_step.grad * np.sqrt(31 * k.top)
    w.grad = None
    again = log_step.detach().requires_grad_()
    made = _published(w, again.exp()[:, None], kind)
    (made * toward).sum().backward()
    torch.testing.assert_close(ours[0], w.grad, rtol=1e-4, atol=1e-5)
    if kind == "int1":  # elastic binarisation: the level moves with alpha alone
        sign = torch.where(w >= 0, 1.0, -1.0).detach()
        torch.testing.assert_close(ours[1], (toward * sign).sum(1) * again.detach().exp())
    else:
        torch.testing.assert_close(ours[1], again.grad, rtol=1e-4, atol=1e-4)


def test_two_bits_have_no_zero_and_bins_of_one_width() -> None:
    w = torch.linspace(-1, 1, 4001)[None]
    codes, step = learned_codes(w, steps_at_start(w, nn.weight_kind(2)), nn.weight_kind(2))
    assert float(step) == pytest.approx(0.25)  # levels are quarters of the largest weight
    assert codes.unique().tolist() == [-3, -1, 1, 3]
    assert all(abs(int((codes == c).sum()) - 1000) <= 1 for c in (-3, -1, 1, 3))


def _layers(quantizer: str = "paretoq") -> nn.Sequential:
    own = {"quantizer": quantizer}
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 3, "int3", padding=1, **own), nn.ReLU()),
        *(nn.Conv2d(6, 6, 3, "int4", 2, 1, groups=6, **own), nn.ReLU()),
        *(nn.Conv2d(6, 8, 1, "ternary", **own), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(8 * 16, 24, 1, **own), nn.ReLU()),
        *(nn.Linear(24, 20, 2, **own), nn.ReLU()),
        *(nn.Linear(20, 12, "ternary", per_tensor=True, **own), nn.ReLU()),
        nn.Linear(12, 3, 8, **own),
    )


def _data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, 160)
    x = rng.normal(size=(160, 1, 8, 8)) + 2.0 * np.eye(3, 64)[y].reshape(-1, 1, 8, 8)
    return x.astype(np.float32), y


@pytest.fixture(scope="module")
def trained() -> nn.Model:
    torch.manual_seed(1)
    x, y = _data()
    model = nn.Model(_layers(), (1, 8, 8), name="learned", evaluation=(x[:40], y[:40]))
    before = [m.log_step.detach().clone() for m in _quantised(model)]
    nn.fit(model, (x, y), epochs=3, progress=False)
    moved = [not torch.equal(a, m.log_step) for a, m in zip(before, _quantised(model), strict=True)]
    assert all(moved), "every step is learned"
    model.calibrate(x)
    return model


def _quantised(model: nn.Model) -> list[nn.QuantLayer]:
    return [m for m in model.modules() if isinstance(m, nn.QuantLayer)]


def test_the_file_keeps_the_steps(trained: nn.Model, tmp_path: Path) -> None:
    nn.save(trained, tmp_path / "m.pt")
    again = nn.load(tmp_path / "m.pt")
    for a, b in zip(_quantised(trained), _quantised(again), strict=True):
        assert b.quantizer == "paretoq"
        assert torch.equal(a.log_step, b.log_step)
        assert all(torch.equal(p, q) for p, q in zip(a.quantized(), b.quantized(), strict=True))


def test_files_of_before_have_no_quantizer_and_load() -> None:
    config = nn.config_of(nn.Sequential(nn.Linear(4, 2, "ternary")))
    del config["layers"][0]["quantizer"]
    (layer,) = nn.build(config)
    assert (layer.quantizer, layer.log_step) == ("straight_through", None)


@pytest.mark.full
def test_the_exported_codes_are_the_trained_ones(trained: nn.Model, tmp_path: Path) -> None:
    report = edgeq.export(trained, "cortex-m4", str(tmp_path / "out"))
    assert [c["passed"] for c in report["checks"]] == [True] * len(report["checks"])
    graph = graph_of(trained)
    held = [graph.param(n, "weight") for n in graph.nodes if "weight" in n.params]
    for layer, codes in zip(_quantised(trained), held, strict=True):
        own = layer.quantized()[0].numpy()
        assert sorted(own.ravel().tolist()) == sorted(codes.ravel().tolist())


def test_a_model_is_given_them_and_gives_them_back(trained: nn.Model) -> None:
    plain = nn.with_quantizer(trained, "straight_through")
    assert all(m.log_step is None for m in _quantised(plain))
    again = nn.with_quantizer(plain, "paretoq")
    for layer in _quantised(again):
        assert torch.equal(layer.log_step, layer.steps_of(layer.weight))
    for old, new in zip(_quantised(trained), _quantised(again), strict=True):
        assert torch.equal(old.weight, new.weight)
    assert again.evaluation is not None


def test_kinds_without_steps_stay_as_they_were() -> None:
    body = nn.Sequential(nn.Linear(4, 6, "ternary"), nn.ReLU(), nn.Linear(6, 2, 16))
    given = nn.with_quantizer(nn.Model(body, (4,)), "paretoq")
    assert [m.quantizer for m in _quantised(given)] == ["paretoq", "straight_through"]
    with pytest.raises(BadInput, match="learn their steps"):
        nn.with_quantizer(nn.Model(nn.Sequential(nn.Linear(4, 2, "ptq")), (4,)), "paretoq")


def test_another_kind_begins_its_own_steps(trained: nn.Model) -> None:
    other = nn.with_kind(trained, "ptq")
    kinds = [(m.kind, m.quantizer) for m in _quantised(other)]
    assert kinds[2] == ("ptq", "straight_through")
    assert kinds[-1] == ("int8", "paretoq")


def test_float_weights_give_their_own_steps() -> None:
    torch.manual_seed(0)
    real, made = nn.Linear(6, 3, "ptq"), nn.Linear(6, 3, 4, quantizer="paretoq")
    made.load_state_dict(real.state_dict())
    assert torch.equal(made.log_step, made.steps_of(real.weight))


@pytest.mark.parametrize("kind", ["ptq", "int9", "int16"])
def test_kinds_without_learned_steps_are_refused(kind: str) -> None:
    with pytest.raises(
        BadInput, match=f"{kind} weights have no learned steps; paretoq is for int1"
    ):
        nn.Linear(4, 2, kind, quantizer="paretoq")


def test_an_unknown_quantizer_is_refused_by_layer_and_file() -> None:
    with pytest.raises(BadInput, match="'pareto'; choose one of straight_through, paretoq"):
        nn.Linear(4, 2, 4, quantizer="pareto")
    config = nn.config_of(nn.Sequential(nn.Linear(4, 2, 4)))
    config["layers"][0]["quantizer"] = "pareto"
    with pytest.raises(ModelFile, match="choose one of straight_through, paretoq"):
        nn.build(config)

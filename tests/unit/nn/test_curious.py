"""Checkpoints of the paper's code: state dicts built from the formulas, run as published."""

import json
import math
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import edgeq
from edgeq import nn
from edgeq.errors import BadInput, ModelFile
from edgeq.nn.curious import kind_of_width, published_activation, published_weight
from edgeq.nn.layers import Linear
from edgeq.nn.weight_kinds import quantize_weight, weight_kind

FEATURES, H1, H2, CLASSES = 24, 20, 12, 3
SIDECAR: dict[str, Any] = {
    "widths": ["ternary", 4, 8],
    "alpha": 1.0,
    "passes": 10,
    "dropout": 0.1953,
    "scaler": {"mean": [0.5] * FEATURES, "scale": [2] * FEATURES},
    "class_names": ["a", "b", "c"],
}


def expert_state(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int, around: float = 0.0) -> Tensor:
        return around + 0.3 * torch.randn(*shape, generator=generator)

    return {
        "net.0.weight": draw(H1, FEATURES),
        "net.0.bias": draw(H1),
        "net.0.act_ln.weight": draw(FEATURES, around=1.0),
        "net.0.act_ln.bias": draw(FEATURES),
        "net.1.weight": draw(H1, around=1.0),
        "net.1.bias": draw(H1),
        "net.4.weight": draw(H2, H1),
        "net.4.bias": draw(H2),
        "net.4.act_ln.weight": draw(H1, around=1.0),
        "net.4.act_ln.bias": draw(H1),
        "net.5.weight": draw(H2, around=1.0),
        "net.5.bias": draw(H2),
        "net.8.weight": draw(CLASSES, H2),
        "net.8.bias": draw(CLASSES),
    }


def mixture_state(experts: int = 3, layers: tuple[int, ...] = (0, 3, 6)) -> dict[str, Tensor]:
    state = {f"experts.{i}.{k}": v for i in range(experts) for k, v in expert_state(i).items()}
    generator = torch.Generator().manual_seed(99)
    for i, (out, size) in zip(layers, ((16, FEATURES), (8, 16), (experts, 8)), strict=True):
        state[f"router.net.{i}.weight"] = torch.randn(out, size, generator=generator)
        state[f"router.net.{i}.bias"] = torch.randn(out, generator=generator)
    return state


def write(folder: Path, state: object, **changed: Any) -> tuple[Path, Path]:
    torch.save(OrderedDict(state) if isinstance(state, dict) else state, folder / "qmoe.pt")
    (folder / "side.json").write_text(json.dumps({**SIDECAR, **changed}))
    return folder / "qmoe.pt", folder / "side.json"


def rows(n: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.5, 2, (n, FEATURES)).astype(np.float32)


def norm(x: np.ndarray, gain: Tensor, bias: Tensor) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return centred / scale * gain.numpy() + bias.numpy()


def by_hand(state: dict[str, Tensor], x: np.ndarray, bits: int) -> np.ndarray:
    """The k-bit expert, from the formulas, in float64."""
    top = 2 ** (bits - 1) - 1
    for i in (0, 4):
        x = norm(x, state[f"net.{i}.act_ln.weight"], state[f"net.{i}.act_ln.bias"])
        w = state[f"net.{i}.weight"].double().numpy()
        w = w - w.mean()
        scale = np.abs(w).max() / top
        step = np.abs(x).max(-1, keepdims=True) / 127
        x = (np.round(x / step) * step) @ (np.round(w / scale) * scale).T
        x = norm(x + state[f"net.{i}.bias"].numpy(), *(state[f"net.{i + 1}.{p}"] for p in PARTS))
        x = np.maximum(x, 0)
    return x @ state["net.8.weight"].numpy().T + state["net.8.bias"].numpy()


PARTS = ("weight", "bias")


def test_weights_by_hand() -> None:
    w = torch.tensor([[0.9, -0.3, 0.0, -0.6], [0.0, 0.0, 4.0, 0.0]])
    assert published_weight(w, "1").tolist() == [[1, -1, 0, -1], [0, 0, 1, 0]]
    ternary = published_weight(w, "ternary")
    torch.testing.assert_close(ternary[0], torch.tensor([0.6, -0.6, 0.0, -0.6]))
    torch.testing.assert_close(ternary[1], torch.tensor([-1.5, -1.5, 1.5, -1.5]))
    assert published_weight(w, "2").unique().numel() == 2  # 0 and one scale here
    assert published_weight(w, "16") is w
    for bits in range(3, 9):
        codes = published_weight(w, str(bits)) / (
            (w - w.mean()).abs().max() / (2 ** (bits - 1) - 1)
        )
        torch.testing.assert_close(codes, codes.round())
        assert codes.abs().max() == 2 ** (bits - 1) - 1


def test_activations_by_hand() -> None:
    x = torch.tensor([[1.0, -0.01, 2.54], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(
        published_activation(x, "8"), torch.tensor([[1.0, 0.0, 2.54], [0.0, 0.0, 0.0]])
    )
    assert published_activation(x, "ternary")[0].tolist() == [1, 0, 1]
    assert published_activation(x, "16") is x


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_an_expert_is_the_formulas(tmp_path: Path, bits: int) -> None:
    state = expert_state(7)
    loaded = edgeq.from_curious_qmoe(*write(tmp_path, state, widths=[bits]))
    x = rows(40)
    wanted = by_hand(state, (x.astype(np.float64) - 0.5) / 2, bits)
    np.testing.assert_allclose(loaded.published(torch.from_numpy(x)), wanted, atol=2e-2)


def test_the_mixture_is_gated_by_its_largest_probability(tmp_path: Path) -> None:
    loaded = edgeq.from_curious_qmoe(*write(tmp_path, mixture_state()))
    x = torch.from_numpy(rows(60))
    scaled = loaded.published.scaled(x)
    p = loaded.published.probabilities(scaled)
    torch.testing.assert_close(p.sum(1), torch.ones(60))
    router = loaded.published.router
    assert router is not None
    assert router.uncertainty(scaled).min() > 0
    plain = torch.softmax(router.logits(scaled), -1)
    assert (p[:, 2] >= plain[:, 2] - 1e-6).all(), "curiosity never takes from the most precise"
    best, route = p.max(1)
    for i in range(60):
        answer = loaded.published.published_experts[int(route[i])](scaled[i : i + 1])[0]
        torch.testing.assert_close(loaded.published(x)[i], best[i] * answer)


def test_a_batch_of_one_is_never_rerouted_as_published(tmp_path: Path) -> None:
    loaded = edgeq.from_curious_qmoe(*write(tmp_path, mixture_state(), alpha=50.0))
    router, x = loaded.published.router, torch.from_numpy(rows(20))
    assert router is not None
    one = loaded.published.probabilities(x[:1])
    torch.testing.assert_close(one, torch.softmax(router.logits(x[:1]), -1))


@pytest.mark.parametrize("width", ["ternary", "1", "2", "3", "8"])
def test_converted_weights_are_the_published_codes(width: str) -> None:
    w = expert_state(3)["net.0.weight"]
    kind = weight_kind(kind_of_width(width))
    given = w if width == "ternary" else published_weight(w, width)
    codes, scale = quantize_weight(given, kind)
    found = codes * scale[:, None]
    if width in ("3", "8"):  # rows have scales of their own: to half of the published step
        step = float((w - w.mean()).abs().max()) / (2 ** (int(width) - 1) - 1)
        assert (found - published_weight(w, width)).abs().max() <= step / 2 + 1e-6
    else:
        torch.testing.assert_close(found, published_weight(w, width), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("layers", [(0, 3, 6), (0, 3, 5)])
def test_a_checkpoint_becomes_a_model_of_edgeq(tmp_path: Path, layers: tuple[int, ...]) -> None:
    loaded = edgeq.from_curious_qmoe(*write(tmp_path, mixture_state(layers=layers)))
    model = loaded.model(rows(200))
    assert [m.kinds for m in model.mixtures] == [("ternary", "int4", "int8")]
    assert all(m.act.active for m in model.modules() if isinstance(m, Linear))
    edgeq.save(model, tmp_path / "model.pt")
    assert edgeq.load(tmp_path / "model.pt").class_names == ("a", "b", "c")
    x = rows(300, 6)
    y = loaded.published(torch.from_numpy(x)).argmax(1).numpy()
    found = loaded.compare(model, x, y)
    assert found["published"] == 1.0
    assert found["difference"] == found["edgeq"] - 1
    assert found["agreement"] == found["edgeq"]
    assert math.isfinite(found["edgeq"])


def test_eight_bits_answer_alike(tmp_path: Path) -> None:
    loaded = edgeq.from_curious_qmoe(*write(tmp_path, expert_state(1), widths=[8], scaler=None))
    model = loaded.model(rows(300))
    x = rows(300, 6)
    y = loaded.published(torch.from_numpy(x)).argmax(1).numpy()
    assert loaded.compare(model, x, y)["agreement"] > 0.93


def without(key: str) -> dict[str, Any]:
    return {k: v for k, v in mixture_state().items() if k != key}


@pytest.mark.parametrize(
    ("state", "changed", "said"),
    [
        (mixture_state(), {"widths": ["ternary", 4]}, "3 experts, the sidecar has 2 widths"),
        (mixture_state(), {"widths": ["ternary", 4, 9]}, "widths"),
        (mixture_state(), {"class_names": ["a"]}, "3 outputs, the sidecar has 1 class names"),
        (mixture_state(), {"scaler": {"mean": [0], "scale": [1]}}, "scaler has 1 means"),
        (mixture_state(), {"scaler": {"mean": [0], "scale": [0]}}, "scale"),
        (mixture_state(), {"passes": 1}, "passes"),
        (without("experts.1.net.5.bias"), {}, "expert 1 has or lacks net.5.bias"),
        (without("router.net.3.bias"), {}, "keys of no known router"),
        (mixture_state() | {"extra": torch.zeros(1)}, {}, "keys of no known router"),
        (mixture_state() | {"experts.0.net.1.bias": torch.zeros(2)}, {}, "shapes do not fit"),
        (mixture_state() | {"router.net.0.bias": torch.zeros(2)}, {}, "router's shapes"),
        (mixture_state() | {"experts.0.net.0.bias": torch.zeros(H1) / 0}, {}, "no finite float32"),
        ({"fc_layers.0.weight": torch.zeros(2, 2)}, {}, "no fixed order"),
        ({"model": mixture_state()}, {}, "save model.state_dict\\(\\) alone"),
        ({}, {}, "no state dict"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, state: dict[str, Any], changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelFile, match=said):
        edgeq.from_curious_qmoe(*write(tmp_path, state, **changed))


@pytest.mark.parametrize("key", SIDECAR)
def test_nothing_is_guessed(tmp_path: Path, key: str) -> None:
    path, side = write(tmp_path, mixture_state())
    side.write_text(json.dumps({k: v for k, v in SIDECAR.items() if k != key}))
    with pytest.raises(ModelFile, match=f"is no sidecar: {key}: Field required"):
        edgeq.from_curious_qmoe(path, side)
    side.write_text("widths = [4]")
    with pytest.raises(ModelFile, match=r"is no sidecar: Expecting value.*write widths, alpha, "):
        edgeq.from_curious_qmoe(path, side)
    side.unlink()
    with pytest.raises(BadInput, match="no such sidecar"):
        edgeq.from_curious_qmoe(path, side)


class Payload:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def test_nothing_pickled_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    path, side = write(tmp_path, {**mixture_state(), "evil": Payload(mark)})
    with pytest.raises(ModelFile, match="more than plain data"):
        edgeq.from_curious_qmoe(path, side)
    assert not mark.exists()
    module = torch.nn.Linear(2, 2)
    torch.save(module, path)
    with pytest.raises(ModelFile):
        edgeq.from_curious_qmoe(path, side)


def test_features_of_another_width(tmp_path: Path) -> None:
    loaded = edgeq.from_curious_qmoe(*write(tmp_path, mixture_state()))
    with pytest.raises(BadInput, match=r"takes \(N, 24\)"):
        loaded.model(np.zeros((4, 3)))
    assert isinstance(loaded, nn.CuriousQmoe)

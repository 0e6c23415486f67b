"""Real training runs on scikit-learn's digits: every kind learns, a mixture uses its experts."""

from functools import cache

import numpy as np
import pytest
import torch

from edgeq.errors import BadInput
from edgeq.nn import (
    KINDS,
    BatchNorm2d,
    BayesianRouter,
    Conv2d,
    GlobalAvgPool,
    LayerNorm,
    Linear,
    Mixture,
    Model,
    ReLU,
    Sequential,
    Split,
    fit,
    split,
)
from edgeq.nn.data import class_weight_values, refuse_overlap

MIXED = ("ternary", "int4", "int8")


@cache
def _digits() -> Split:
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    return split((x / 16.0).astype(np.float32), y, seed=1)


def _mlp(kind: str, width: int = 48) -> Sequential:
    head = "ptq" if kind == "ptq" else "int8"
    return Sequential(
        Linear(64, width, kind),
        LayerNorm(width),
        ReLU(),
        Linear(width, width, kind),
        LayerNorm(width),
        ReLU(),
        Linear(width, 10, head),
    )


SAMPLED = ("ternary",)


@pytest.mark.parametrize(
    "kind", [k if k in SAMPLED else pytest.param(k, marks=pytest.mark.full) for k in KINDS]
)
def test_every_kind_learns_digits(kind: str) -> None:
    data = _digits()
    torch.manual_seed(0)
    model = Model(_mlp(kind), (64,))
    history = fit(
        model, data.train, data.validation, epochs=7, lr=6e-3, batch_size=64, progress=False
    )
    model.calibrate(data.train[0][:200])  # for ptq: from here on its forward is int8
    logits, route = model.predict(data.test[0])
    accuracy = float((logits.argmax(1) == data.test[1]).mean())
    assert route is None
    assert history.best_accuracy > 0.9
    assert accuracy > 0.9, f"{kind}: {accuracy:.3f}"


@pytest.mark.parametrize(
    "mode",
    [
        "likelihood",
        pytest.param("soft", marks=pytest.mark.full),
        pytest.param("straight_through", marks=pytest.mark.full),
    ],
)
def test_a_mixture_learns_and_uses_its_experts(mode: str) -> None:
    data = _digits()
    torch.manual_seed(0)
    experts = [_mlp(k, 32) for k in MIXED]
    mixture = Mixture(experts, BayesianRouter(64, 3, dropout=0.2), MIXED, train_mode=mode)
    model = Model(mixture, (64,))
    balance = 0.3 if mode == "straight_through" else 0.1
    fit(
        model,
        data.train,
        data.validation,
        epochs=8,
        lr=5e-3,
        batch_size=64,
        balance=balance,
        progress=False,
    )
    moved = model.calibrate(data.train[0][:300])
    logits, route = model.predict(data.test[0])
    accuracy = float((logits.argmax(1) == data.test[1]).mean())
    shares = np.bincount(route, minlength=3) / len(route)  # type: ignore[arg-type]
    assert accuracy > 0.9, f"{mode}: {accuracy:.3f}"
    assert int((shares > 0.05).sum()) >= 2, shares
    assert mixture.curious
    assert moved >= 0


@pytest.mark.full
def test_convolutions_with_batch_norm_learn() -> None:
    data = _digits()
    torch.manual_seed(0)
    body = Sequential(
        Conv2d(1, 16, 3, "int8", padding=1, bias=False),
        BatchNorm2d(16),
        ReLU(),
        Conv2d(16, 16, 3, "int8", 2, 1, groups=16, bias=False),
        BatchNorm2d(16),
        ReLU(),
        Conv2d(16, 32, 1, "int4", bias=False),
        BatchNorm2d(32),
        ReLU(),
        Conv2d(32, 32, 3, "ternary", 2, 1, bias=False),
        BatchNorm2d(32),
        ReLU(),
        GlobalAvgPool(),
        Linear(32, 10),
    )
    train, validation = ((x.reshape(-1, 1, 8, 8), y) for x, y in (data.train, data.validation))
    history = fit(body, train, validation, epochs=6, lr=8e-3, progress=False)
    assert history.best_accuracy > 0.9


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator() -> None:
    data = _digits()
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(0)
        model = _mlp("int4", 16)
        before = torch.get_rng_state()
        fit(model, data.train, data.validation, epochs=2, seed=seed, progress=False)
        assert torch.equal(before, torch.get_rng_state())
        states.append(model.state_dict()["0.weight"].clone())
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_the_best_weights_are_kept_and_patience_stops() -> None:
    data = _digits()
    torch.manual_seed(0)
    model = _mlp("int8", 16)
    history = fit(model, data.train, data.validation, epochs=60, lr=0.1, patience=2, progress=False)
    assert len(history.epochs) < 60
    assert len(history.epochs) - 1 - history.best >= 2
    x, y = (torch.from_numpy(a) for a in data.validation)
    accuracy = float((model(x).argmax(1) == y).double().mean())
    assert accuracy == pytest.approx(history.best_accuracy)


def test_augment_may_return_soft_labels_and_weights_may_be_balanced() -> None:
    data = _digits()
    seen: list[int] = []

    def mixup(
        x: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(len(x))
        share = torch.rand(len(x), 1, generator=generator)
        other = torch.randperm(len(x), generator=generator)
        hot = torch.nn.functional.one_hot(y, 10).float()
        return share * x + (1 - share) * x[other], share * hot + (1 - share) * hot[other]

    experts = [_mlp(k, 16) for k in MIXED]
    model = Mixture(experts, BayesianRouter(64, 3), MIXED)
    fit(
        model,
        data.train,
        data.validation,
        epochs=2,
        class_weights="balanced",
        augment=mixup,
        progress=False,
    )
    assert sum(seen) >= 2 * (len(data.train[0]) - 1)


def test_progress_goes_to_stderr_only(capfd: pytest.CaptureFixture[str]) -> None:
    data = _digits()
    fit(_mlp("int8", 8), data.train, data.validation, epochs=1, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "validation" in err


def test_validation_must_not_hold_training_samples() -> None:
    data = _digits()
    with pytest.raises(BadInput, match="training samples too"):
        fit(_mlp("int8"), data.train, data.train, epochs=1, progress=False)
    mixed = (
        np.concatenate([data.validation[0], data.train[0][:1]]),
        np.concatenate([data.validation[1], data.train[1][:1]]),
    )
    with pytest.raises(BadInput, match="1 of"):
        fit(_mlp("int8"), data.train, mixed, epochs=1, progress=False)


def test_split_is_stratified_disjoint_and_whole() -> None:
    x = np.arange(1000, dtype=np.float32)[:, None]
    y = (np.arange(1000) % 10 == 0).astype(np.int64)
    parts = split(x, y, validation=0.1, test=0.2, seed=5)
    assert [len(p[1]) for p in (parts.train, parts.validation, parts.test)] == [700, 100, 200]
    assert [int(p[1].sum()) for p in (parts.train, parts.validation, parts.test)] == [70, 10, 20]
    everything = np.concatenate([parts.train[0], parts.validation[0], parts.test[0]])
    assert sorted(everything[:, 0].tolist()) == x[:, 0].tolist()
    refuse_overlap(parts.train[0], parts.test[0])
    with pytest.raises(BadInput, match="sum below 1"):
        split(x, y, validation=0.5, test=0.5)


def test_class_weights() -> None:
    y = np.array([0, 0, 0, 1])
    np.testing.assert_allclose(class_weight_values("balanced", y, 2), [4 / 6, 2.0])
    np.testing.assert_allclose(class_weight_values([1, 3], y, 2), [1, 3])
    for bad in ("even", [1.0], [1.0, np.nan], [1.0, -1.0]):
        with pytest.raises(BadInput, match="class_weights"):
            class_weight_values(bad, y, 2)


def test_bad_data_is_refused() -> None:
    data = _digits()
    x, y = data.train
    for train, message in (
        ((x, y[:-1]), "one label"),
        ((x[:0], y[:0]), "one label"),
        ((x, y.astype(np.float32)), "one label"),
        ((x * np.nan, y), "NaN"),
        ((x, y + 90), "the labels need"),
    ):
        with pytest.raises(BadInput, match=message):
            fit(_mlp("int8"), train, data.validation, epochs=1, progress=False)
    with pytest.raises(BadInput, match="batch_size"):
        fit(_mlp("int8"), data.train, data.validation, batch_size=1, progress=False)

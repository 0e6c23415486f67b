"""nn.Cascade: who answers, what is learned, what is saved, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.errors import BadInput, ModelFile, UnsupportedOp
from edgeq.nn.checkpoint import _content
from tests.unit.cascade.made import CLASSES, FEATURES, cascade_model, expert, rows


def gaps(logits: torch.Tensor) -> np.ndarray:
    best = np.sort(logits.numpy(), axis=1)
    return np.asarray(best[:, -1] - best[:, -2])


@torch.no_grad()
@pytest.mark.parametrize("trunk", [False, True])
def test_each_row_is_answered_by_the_first_expert_that_is_sure(trunk: bool) -> None:
    model, x = cascade_model(3, trunk=trunk), torch.from_numpy(rows())
    body = model.body.eval()
    shared = x if body.trunk is None else body.trunk(x)
    alone = [each(shared) for each in body.experts]
    first = gaps(alone[0]) >= body.limits[0].numpy()
    second = gaps(alone[1]) >= body.limits[1].numpy()
    route = np.where(first, 0, np.where(second, 1, 2))
    assert set(route.tolist()) == {0, 1, 2}
    logits, said = model.predict(rows())
    assert said is not None
    assert (said == route).all()
    wanted = np.stack([a.numpy() for a in alone])[route, np.arange(len(route))]
    np.testing.assert_allclose(logits, wanted, atol=1e-6)
    ran = body.last_routing.experts
    assert [sorted(set(row)) for row in ran.tolist()] == [list(range(r + 1)) for r in route]


def test_calibration_sends_the_share_that_was_asked_for() -> None:
    model = cascade_model(2, escalate=0.25)
    assert model.calibrate(rows()) == 20
    model = cascade_model(3, escalate=(1.0, 0.5))
    route = model.predict(rows())[1]
    assert route is not None
    assert np.bincount(route, minlength=3).tolist() == [0, 40, 40]


def test_thresholds_that_are_given_stay() -> None:
    for limit, answered in ((0.0, 0), (1e9, 1)):
        route = cascade_model(2, thresholds=[limit]).predict(rows())[1]
        assert route is not None
        assert set(route.tolist()) == {answered}


def test_training_reaches_every_expert() -> None:
    model, x = cascade_model(3).train(), torch.from_numpy(rows())
    model(x).sum().backward()
    assert all(e[0].weight.grad is not None for e in model.body.experts)
    assert [tuple(logits.shape) for logits in model.body.expert_logits] == [(80, CLASSES)] * 3
    torch.manual_seed(0)
    y = np.random.default_rng(0).integers(0, CLASSES, 80)
    data = nn.split(rows(), y)
    history = nn.fit(model, data.train, data.validation, epochs=2, progress=False)
    assert len(history.epochs) == 2


def test_finished_models_are_experts(tmp_path: Path) -> None:
    names = tuple("abcd")
    for i, name in enumerate(("narrow", "wide")):
        single = nn.Model(expert(4 + 9 * i, "int8"), (FEATURES,), names, rows(), name=name)
        single.calibrate()
        edgeq.save(single, tmp_path / f"{name}.pt")
    narrow, wide = (edgeq.load(tmp_path / f"{name}.pt") for name in ("narrow", "wide"))
    model = nn.Model(nn.Cascade([narrow, wide]), (FEATURES,), names, rows(), name="both")
    model.calibrate()
    assert model.body.names == ("narrow", "wide")
    edgeq.save(model, tmp_path / "both.pt")
    again = edgeq.load(tmp_path / "both.pt")
    x = rows(20, 9)
    np.testing.assert_array_equal(again.predict(x)[0], model.predict(x)[0])
    every = nn.Model(nn.Cascade([narrow, wide], thresholds=[0.0]), (FEATURES,))
    np.testing.assert_array_equal(every.predict(x)[0], narrow.predict(x)[0])


def finished(name: str, shape: tuple[int, ...], classes: tuple[str, ...]) -> nn.Model:
    return nn.Model(nn.Linear(shape[0], len(classes)), shape, classes, name=name)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.Cascade([expert(4, "int8")]), "at least 2 experts, got 1"),
        (lambda: nn.Cascade([expert(4, "int8")] * 2, "doubt"), "'doubt'; choose one of gap"),
        (lambda: nn.Cascade([expert(4, "int8")] * 2, thresholds=[1, 2]), "2 numbers; one a stage"),
        (lambda: nn.Cascade([expert(4, "int8")] * 2, thresholds=[-1]), "finite numbers from 0"),
        (lambda: nn.Cascade([expert(4, "int8")] * 2, thresholds=[np.nan]), "finite numbers from 0"),
        (lambda: nn.Cascade([expert(4, "int8")] * 2, escalate=1.5), "from 0 to 1"),
        (lambda: nn.Cascade([expert(4, "int8")] * 2, names=["a", "a"]), "as many different texts"),
        (lambda: nn.Cascade(["net", "net"]), "an expert is str"),  # type: ignore[list-item]
        (
            lambda: nn.Cascade([finished("a", (6,), ("x", "y")), finished("b", (7,), ("x", "y"))]),
            r"share their input_shape; these differ: a: \(6,\); b: \(7,\)",
        ),
        (
            lambda: nn.Cascade([finished("a", (6,), ("x", "y")), finished("b", (6,), ("y", "x"))]),
            "share their class_names; these differ",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        make()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda: nn.Cascade([expert(4, "int8"), expert(4, "int8", 3)]), "different shapes"),
        (lambda: nn.Cascade([nn.Linear(6, 1), nn.Linear(6, 1)]), "a signal wants 2 classes"),
        (
            lambda: nn.Cascade([nn.Sequential(nn.Linear(6, 3), nn.Softmax()) for _ in "ab"]),
            "ends in Softmax, and a cascade decides by logits",
        ),
        (
            lambda: nn.Cascade([nn.Linear(6, 3), nn.Cascade([nn.Linear(6, 3), nn.Linear(6, 3)])]),
            "several mixtures or cascades|a mixture or cascade inside an expert",
        ),
    ],
)
def test_what_no_export_takes_is_refused_when_the_model_is_built(body: Any, said: str) -> None:
    with pytest.raises(UnsupportedOp, match=said):
        nn.Model(body(), (6,))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("thresholds", [-1.0], r"thresholds is -?\[?.*number in \[0"),
        ("thresholds", [float("nan")], "number in"),
        ("thresholds", [1.0, 2.0], "2 numbers; one a stage"),
        ("escalate", [2.0], r"number in \[0, 1\]"),
        ("signal", "luck", "choose one of gap"),
        ("names", ["a"], "list of 2 to 64"),
        ("names", ["a", "a"], "different texts"),
        ("experts", [], "at least 2 experts"),
        ("trunk", {"kind": "linear"}, "missing or unknown fields"),
    ],
)
def test_hostile_files_are_refused(key: str, value: object, said: str, tmp_path: Path) -> None:
    content = _content(cascade_model())
    content["config"]["body"][key] = value
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(ModelFile, match=said):
        edgeq.load(tmp_path / "m.pt")


def test_a_file_with_one_expert_or_other_classes_is_refused(tmp_path: Path) -> None:
    for change, said in (
        (lambda body: body["experts"].pop(), "at least 2 experts|names"),
        (lambda body: body["experts"][1]["layers"][2].update(out_features=3), "disagree|shape"),
    ):
        content = _content(cascade_model())
        change(content["config"]["body"])
        torch.save(content, tmp_path / "m.pt")
        with pytest.raises(ModelFile, match=said):
            edgeq.load(tmp_path / "m.pt")

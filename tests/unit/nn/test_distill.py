"""Distillation: the student nears its teacher, frozen parts stand still, bad calls are refused."""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.errors import BadInput


def _data(seed: int, rows: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, rows)
    return (rng.normal(size=(rows, 6)) + 2.0 * np.eye(3, 6)[y]).astype(np.float32), y


def _net(kind: str, width: int, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, width, kind), nn.ReLU(), nn.Linear(width, 3, "int8"))


def _teacher() -> nn.Sequential:
    teacher = _net("int8", 24, 0)
    nn.fit(teacher, _data(0, 300), epochs=15, lr=1e-2, progress=False)
    return teacher


def _agreement(student: torch.nn.Module, teacher: torch.nn.Module) -> float:
    x = torch.from_numpy(_data(9, 400)[0])
    with torch.no_grad():
        return float((student.eval()(x).argmax(1) == teacher.eval()(x).argmax(1)).double().mean())


@pytest.mark.parametrize("augmented", [False, True])
def test_a_student_without_labels_answers_as_its_teacher(augmented: bool) -> None:
    teacher, student = _teacher(), _net("ternary", 8, 1)
    before = copy.deepcopy(teacher.state_dict())
    x, _ = _data(2, 300)

    def jitter(
        inputs: torch.Tensor, y: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return inputs + 0.1 * torch.randn(inputs.shape, generator=generator), y

    nn.distill(
        student,
        teacher,
        x,
        epochs=30,
        lr=2e-2,
        augment=jitter if augmented else None,
        progress=False,
    )
    assert _agreement(student, teacher) > 0.9
    for key, value in teacher.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_the_teacher_decides_and_not_the_labels() -> None:
    """Labels that are all wrong teach nothing at hard=0, and everything at hard=1."""
    teacher = _teacher()
    x, y = _data(3, 300)
    wrong = (y + 1) % 3
    soft, hard = _net("int8", 16, 2), _net("int8", 16, 2)
    nn.distill(soft, teacher, (x, wrong), hard=0.0, epochs=20, lr=1e-2, progress=False)
    nn.distill(hard, teacher, (x, wrong), hard=1.0, epochs=20, lr=1e-2, progress=False)
    assert _agreement(soft, teacher) > 0.9
    assert _agreement(hard, teacher) < 0.2


def test_an_expert_inside_a_mixture_can_be_the_student() -> None:
    experts = [_net("ternary", 8, 3), _teacher()]
    model = nn.Model(nn.Mixture(experts, nn.PlainRouter(6, 2), ("ternary", "int8")), (6,))
    nn.distill(experts[0], experts[1], _data(4, 300), epochs=30, lr=2e-2, progress=False)
    assert _agreement(model.mixtures[0].experts[0], experts[1]) > 0.9


def test_what_is_frozen_stands_still() -> None:
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Linear(6, 8, "int8"), nn.BatchNorm1d(8), nn.ReLU())
    model = nn.Sequential(trunk, nn.Linear(8, 3, "int8"))
    nn.fit(model, _data(5), epochs=2, progress=False)
    before = copy.deepcopy(model.state_dict())
    nn.fit(model, _data(6), epochs=2, progress=False, freeze=[trunk])
    after = model.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert not any(key.startswith("0.") for key in moved)
    assert "1.weight" in moved
    assert all(p.requires_grad for p in model.parameters())


def _moved(model: torch.nn.Module, train: Callable[[], object]) -> set[str]:
    """The names of what a training changed, up to the expert's number."""
    before = copy.deepcopy(model.state_dict())
    train()
    after = model.state_dict()
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    return {".".join(key.split(".")[:2]) for key in changed if not key.startswith("u_")}


@pytest.mark.parametrize("routed", ["cascade", "mixture"])
def test_experts_are_trained_alone_jointly_or_one_after_the_other(routed: str) -> None:
    """Case 43: nothing but what is asked for moves, the router's part either."""
    experts = [_net("ternary", 6, 1), _net("int8", 12, 2)]
    router = nn.PlainRouter(6, 2, hidden=(4,))
    body = nn.Cascade(experts) if routed == "cascade" else nn.Mixture(experts, router)
    first, second = body.experts
    rest = [] if routed == "cascade" else [body.router]
    options = {"epochs": 1, "lr": 1e-2, "progress": False}
    others = {"router.fc1", "router.fc2"} if rest else set()

    assert _moved(body, lambda: nn.fit(first, _data(5), **options)) == {"experts.0"}
    assert _moved(body, lambda: nn.distill(first, second, _data(5), **options)) == {"experts.0"}
    both = _moved(body, lambda: nn.fit(body, _data(5), **options))
    assert both == {"experts.0", "experts.1", *others}
    for still, trained in ((first, "experts.1"), (second, "experts.0")):
        freeze = [still, *rest]
        moved = _moved(body, lambda f=freeze: nn.fit(body, _data(6), freeze=f, **options))
        assert moved == {trained}


def test_without_a_validation_set_the_last_weights_stay() -> None:
    model = _net("int8", 8, 0)
    history = nn.fit(model, _data(7), epochs=3, progress=False)
    assert history.best == 2
    assert np.isnan(history.best_accuracy)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"hard": 1.5}, "hard is 1.5"),
        ({"epochs": 0}, "epochs is 0"),
        ({"validation": _data(8)}, "are training samples too"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        nn.distill(_net("int8", 8, 0), _net("int8", 8, 1), _data(8), progress=False, **options)


def test_other_classes_are_refused() -> None:
    other = nn.Sequential(nn.Linear(6, 5, "int8"))
    with pytest.raises(BadInput, match="answers 3 classes, the teacher 5"):
        nn.distill(_net("int8", 8, 0), other, _data(8), progress=False)


def test_freezing_what_cannot_be_frozen_is_refused() -> None:
    model = _net("int8", 8, 0)
    with pytest.raises(BadInput, match="not part of the model"):
        nn.fit(model, _data(8), epochs=1, progress=False, freeze=[_net("int8", 8, 0)])
    with pytest.raises(BadInput, match="nothing is left to train"):
        nn.fit(model, _data(8), epochs=1, progress=False, freeze=[model])
    nn.fit(model, _data(8), epochs=1, progress=False)  # from now on the head rounds its input
    with pytest.raises(BadInput, match="no gradient reaches"):
        nn.fit(model, _data(8), epochs=1, progress=False, freeze=[model[2]])

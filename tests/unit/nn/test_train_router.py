"""Training of the router alone, on experts whose faults are known."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn import (
    BayesianRouter,
    Linear,
    Mixture,
    Model,
    Sequential,
    TrunkMixture,
    fit_router,
)

KINDS = ("ternary", "int4", "int8")


class Knows(nn.Module):
    """An expert that is right where x[0] < `limit` and says nothing (equal logits) elsewhere."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, x: Tensor) -> Tensor:
        answer = nn.functional.one_hot((x[:, 1] > 0).long(), 2).float() * 8.0
        return answer * (x[:, :1] < self.limit)


def data(n: int = 512) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(3).uniform(-1, 1, (n, 4)).astype(np.float32)
    return x, (x[:, 1] > 0).astype(np.int64)


def mixture(limits: tuple[float, ...] = (0.0, 0.5, 2.0)) -> Mixture:
    torch.manual_seed(0)
    experts = [Knows(limit) for limit in limits]
    return Mixture(experts, BayesianRouter(4, 3, hidden=(32, 16)), KINDS, rule="off")


def route(model: nn.Module, x: np.ndarray) -> np.ndarray:
    return model.eval().routing(torch.from_numpy(x)).experts[:, 0].numpy()


def test_each_input_goes_to_the_cheapest_expert_that_knows_it() -> None:
    model, (x, y) = mixture(), data()
    shares = fit_router(model, (x, y), price=0.1, entropy=0.0, lr=1e-2, steps=300)
    wanted = np.digitize(x[:, 0], [0.0, 0.5])
    np.testing.assert_allclose(shares, np.bincount(wanted, minlength=3) / len(x), atol=1e-6)
    clear = (np.abs(x[:, 0]) > 0.15) & (np.abs(x[:, 0] - 0.5) > 0.15)
    assert (route(model, x) == wanted)[clear].mean() > 0.97


def test_without_a_price_experts_that_agree_share_and_with_one_the_cheapest_has_all() -> None:
    x, y = data()
    free, priced = mixture((2.0, 2.0, 2.0)), mixture((2.0, 2.0, 2.0))
    fit_router(free, (x, y), price=0.0, entropy=0.1, steps=150)
    fit_router(priced, (x, y), price=0.3, entropy=0.0, steps=150)
    assert (route(priced, x) == 0).all()
    with torch.no_grad():
        p = torch.softmax(free.router(torch.from_numpy(x)), -1)
    assert p.max() < 0.6, "entropy keeps equal experts equal"


def test_nothing_but_the_router_changes_and_the_same_seed_gives_the_same_router() -> None:
    x, y = data(64)

    def model() -> Model:
        torch.manual_seed(1)
        trunk = Sequential(Linear(4, 4, "int8"))
        experts = [Sequential(Linear(4, 2, kind)) for kind in KINDS]
        router = BayesianRouter(4, 3, hidden=(16, 8))
        return Model(TrunkMixture(trunk, Mixture(experts, router, KINDS)), (4,))

    first, second = model(), model()
    before, state = copy.deepcopy(first.state_dict()), torch.random.get_rng_state()
    fit_router(first, (x, y), steps=20, seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    fit_router(second, (x, y), steps=20, seed=5)
    changed = {k for k, v in first.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert all(".router." in name for name in changed)
    assert all(torch.equal(v, second.state_dict()[k]) for k, v in first.state_dict().items())


def test_augmented_views_may_have_soft_labels() -> None:
    x, y = data(64)
    calls = list[int]()

    def augment(bx: Tensor, by: Tensor, _: torch.Generator) -> tuple[Tensor, Tensor]:
        calls.append(len(bx))
        return bx, nn.functional.one_hot(by, 2).float()

    fit_router(mixture(), (x, y), views=3, steps=5, augment=augment)
    assert sum(calls) == 3 * len(x)


@pytest.mark.parametrize(
    "options", [{"price": -1.0}, {"entropy": -0.1}, {"steps": 0}, {"views": 0}, {"lr": 0.0}]
)
def test_bad_options_are_refused_with_their_value(options: dict[str, float]) -> None:
    (name, value), (x, y) = next(iter(options.items())), data(8)
    with pytest.raises(BadInput, match=f"{name} {value}"):
        fit_router(mixture(), (x, y), **options)


def test_a_model_without_a_mixture_is_refused() -> None:
    with pytest.raises(BadInput, match="0 mixtures"):
        fit_router(Sequential(Linear(4, 2, "int8")), data(8))


def test_cases_42_and_43_cycles_are_the_price_where_they_are_known() -> None:
    """On this board the expert of the middle width is the dearest: by bits it would be taken."""
    x, y = data()
    by_bits, by_cycles = mixture((-2.0, 2.0, 2.0)), mixture((-2.0, 2.0, 2.0))
    fit_router(by_bits, (x, y), price=0.3, entropy=0.0, steps=150)
    cycles = [100.0, 900.0, 500.0]
    fit_router(by_cycles, (x, y), price=0.3, beta="cycles", cycles=cycles, entropy=0.0, steps=150)
    assert (route(by_bits, x) == 1).all()
    assert (route(by_cycles, x) == 2).all()


@pytest.mark.parametrize("share", [0.0, 0.25, 0.6, 1.0])
def test_the_cheapest_expert_gets_its_share(share: float) -> None:
    model, (x, y) = mixture(), data(400)
    fit_router(model, (x, y), cheap_share=share, views=1, steps=100)
    assert (route(model, x) == 0).mean() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beta": "joules"}, "'joules'; choose \"cycles\""),
        ({"beta": "cycles"}, "belong together"),
        ({"cycles": [1.0, 2.0, 3.0]}, "belong together"),
        ({"beta": "cycles", "cycles": [1.0, 2.0]}, "each of the 3 experts"),
        ({"beta": "cycles", "cycles": [1.0, 2.0, 0.0]}, "each of the 3 experts"),
        ({"cheap_share": 1.5}, "cheap_share is 1.5"),
    ],
)
def test_prices_that_are_none(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        fit_router(mixture(), data(8), **options)

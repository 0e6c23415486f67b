"""Widths learned against a price (DiffQ): what noise and price pull at, and what is refused."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.errors import BadInput
from edgeq.nn.learned_widths import START, _Noise
from edgeq.nn.weight_kinds import weight_kind

KINDS = ("ternary", "int4", "int8")
RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, 128)
X = RNG.normal(size=(128, 8)).astype(np.float32)
X[:, 0] += 3.0 * (2 * Y - 1)


def network() -> nn.Model:
    """Its answer is the first input's sign, through two layers."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(8, 16, "ptq"), nn.ReLU(), nn.Linear(16, 2, "ptq"))
    model = nn.Model(body, (8,), calibration=X, name="signs")
    nn.fit(model, (X, Y), epochs=4, progress=False)
    return model


def sizes(names: Any = ("body.0", "body.2")) -> dict[str, dict[str, float]]:
    return {name: {kind: weight_kind(kind).bits for kind in KINDS} for name in names}


def test_a_price_narrows_and_none_does_not() -> None:
    model = network()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = [
        nn.learn_widths(model, (X, Y), sizes(), price, epochs=4, progress=False)
        for price in (0.0, 0.05, 50.0)
    ]
    assert all(bits > 4 for bits in found[0].bits.values())
    assert set(found[2].widths.values()) == {"ternary"}
    assert [one.cost for one in found] == sorted([one.cost for one in found], reverse=True)
    assert found[0].cost > found[1].cost
    assert found[2].cost == pytest.approx(1.58 / 8)
    again = nn.learn_widths(model, (X, Y), sizes(), 0.05, epochs=4, progress=False)
    assert again.bits == found[1].bits, "the same seed, the same bits"
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), "the model stays as it is"


def test_what_costs_more_narrow_is_never_chosen() -> None:
    """As int3 where no kernel reads it: whatever the price, the wider and cheaper one is taken."""
    costs = sizes()
    costs["body.0"] |= {"int4": 9.0, "ternary": 8.0}
    found = nn.learn_widths(network(), (X, Y), costs, 50.0, epochs=3, progress=False)
    assert found.widths == {"body.0": "int8", "body.2": "ternary"}
    assert found.bits["body.0"] == 8.0


def test_noise_is_a_step_of_rounding_and_cost_lies_on_lines() -> None:
    noise = _Noise([(2.0, 10.0), (4.0, 30.0), (8.0, 40.0)], gain=1.0)
    weight = torch.tensor([[1.0, -3.0, 0.0, 2.0]] * 500)
    for bits, cost in ((2.0, 10.0), (3.0, 20.0), (4.0, 30.0), (6.0, 35.0), (8.0, 40.0)):
        share = min(max((bits - 2.0) / 6.0, 1e-6), 1 - 1e-6)
        noise.place.data.fill_(math.log(share / (1 - share)))
        assert float(noise.cost().detach()) == pytest.approx(cost, abs=1e-3)
        off = (noise.train()(weight) - weight).detach()
        half = 3.0 / (2.0**bits - 1.0)
        assert half * 0.97 < float(off.abs().max()) <= half * (1 + 1e-5)
    assert torch.equal(noise.eval()(weight), weight)
    noise.place.data.fill_(START)
    (slope,) = torch.autograd.grad(noise.cost(), [noise.place])
    assert float(slope) > 0, "fewer bits cost less"


@pytest.mark.parametrize(
    ("costs", "price", "said"),
    [
        (sizes(["body.0"]), 0.1, "'body.2' is not among them"),
        (sizes(["body.0", "body.2", "body.9"]), 0.1, "'body.9' is no such layer"),
        ({**sizes(), "body.2": {}}, 0.1, "body.2 wants a finite cost"),
        ({**sizes(), "body.2": {"int8": math.nan}}, 0.1, "body.2 wants a finite cost"),
        ({**sizes(), "body.2": {"int99": 1.0}}, 0.1, "unknown weight kind 'int99'"),
        (sizes(), -0.1, "the price is -0.1"),
        (sizes(), math.inf, "the price is inf"),
        (sizes(), True, "the price is True"),
    ],
)
def test_what_cannot_be_is_said(costs: Any, price: float, said: str) -> None:
    body = nn.Sequential(nn.Linear(8, 16, "ptq"), nn.ReLU(), nn.Linear(16, 2, "ptq"))
    with pytest.raises(BadInput, match=said):
        nn.learn_widths(nn.Model(body, (8,)), (X, Y), costs, price, epochs=1, progress=False)

"""What a width costs in loss: against losses and curvatures that are known by hand."""

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.errors import BadInput
from edgeq.nn.graph import graph_of_body
from edgeq.nn.post_training import in_float
from edgeq.nn.sensitivity import (
    classifies,
    hessian_increases,
    hessian_traces,
    loss_increases,
    weighed,
)

KINDS = ("ternary", "int4", "int8")


def model(task: str | None = None) -> nn.Model:
    torch.manual_seed(2)
    body = nn.Sequential(nn.Linear(6, 16, "ptq"), nn.ReLU(), nn.Linear(16, 3, "ptq")).eval()
    x = np.random.default_rng(2).normal(size=(96, 6)).astype(np.float32)
    return nn.graph_model(graph_of_body(body, (6,)), calibration=x)


def test_wider_layers_lose_less_and_the_model_stays_float() -> None:
    made = model()
    assert made.calibration is not None
    x = torch.from_numpy(made.calibration)
    before = made(x).detach().clone()
    of = weighed(made)
    heard: list[tuple[int, int, str]] = []
    table = loss_increases(of, KINDS, lambda *said: heard.append(said))
    assert list(table) == list(of.layers) == ["body.0", "body.2"]
    for losses in table.values():
        assert losses["ternary"] > losses["int4"] > losses["int8"] >= -1e-9
    assert of.base == pytest.approx(0, abs=1e-9), "the divergence of float from itself"
    torch.testing.assert_close(made(x), before)
    with in_float(of.body), torch.no_grad():
        torch.testing.assert_close(of.body(x), before)  # weights, biases and kinds are put back
    assert heard == [(0, 2, "body.0"), (1, 2, "body.2"), (2, 2, "")]
    again = loss_increases(of, KINDS)
    assert again == table


def test_labels_make_it_the_cross_entropy() -> None:
    made = model()
    assert made.calibration is not None
    y = np.arange(96) % 3
    of = weighed(made, y=y)
    logits = made(torch.from_numpy(made.calibration)).detach()
    wanted = torch.nn.functional.cross_entropy(logits, torch.from_numpy(y))
    assert of.judge.name == "cross entropy"
    assert of.base == pytest.approx(wanted.item(), rel=1e-5)
    with pytest.raises(BadInput, match="whole numbers of 0 to 2"):
        weighed(made, y=y + 1)
    with pytest.raises(BadInput, match="one integer label a sample"):
        weighed(made, y=y[:5])


def test_what_is_no_classifier_is_judged_by_its_squared_error() -> None:
    made = model()
    made.task = "regression"
    of = weighed(made)
    assert not classifies(made)
    assert of.judge.name == "relative squared error"
    assert all(v["ternary"] > v["int8"] for v in loss_increases(of, KINDS).values())


def test_rows_are_needed() -> None:
    made = model()
    made.calibration = None
    with pytest.raises(BadInput, match="needs real inputs"):
        weighed(made)


def test_the_trace_of_a_known_hessian() -> None:
    """One linear layer under a squared error: the Hessian in W is 2/(N C) X'X a row, over a scale.

    Its mean diagonal is the mean square of the inputs times 2 / C over the answer's mean square.
    """
    torch.manual_seed(4)
    body = nn.Sequential(nn.Linear(8, 4, "ptq")).eval()
    x = np.random.default_rng(4).normal(size=(64, 8)).astype(np.float32)
    made = nn.graph_model(graph_of_body(body, (8,)), calibration=x)
    made.task = "regression"
    of = weighed(made)
    (trace,) = hessian_traces(of).values()
    answer = made(torch.from_numpy(x)).detach()
    wanted = 2 / 4 * float(np.square(x).mean()) / float(answer.square().mean())
    assert trace == pytest.approx(wanted, rel=0.15)  # 16 probes of a matrix that is nearly diagonal
    assert hessian_traces(of) == hessian_traces(of)
    assert hessian_traces(of, seed=1) != hessian_traces(of)


def test_the_hessians_increase_follows_the_loss() -> None:
    of = weighed(model())
    table = hessian_increases(of, KINDS, hessian_traces(of))
    run = loss_increases(of, KINDS)
    for name in of.layers:
        assert table[name]["ternary"] > table[name]["int4"] > table[name]["int8"] >= 0
        assert 0.1 < table[name]["int4"] / run[name]["int4"] < 10, "second order of the same"

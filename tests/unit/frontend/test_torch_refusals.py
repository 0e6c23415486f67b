"""What no graph is made of is refused when the model is built, every part by its path."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import edgeq
from edgeq import nn
from edgeq.errors import UnsupportedOp
from edgeq.frontend.torch_loader import graph_of

torch.set_num_threads(1)

S = nn.Sequential
FLAT, MAP = (7,), (3, 8, 6)


def mixture() -> nn.Mixture:
    kinds = ("ternary", 8)
    experts = [S(nn.LayerNorm(7), nn.Linear(7, 3, kind)) for kind in kinds]
    return nn.Mixture(experts, nn.BayesianRouter(7, 2, (4, 4), passes=4), kinds)


class Mystery(torch.nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def refusal(body: Any, shape: tuple[int, ...]) -> str:
    with pytest.raises(UnsupportedOp) as error:
        nn.Model(body, shape)
    return str(error.value)


def test_every_unsupported_module_is_listed_by_path() -> None:
    router = nn.BayesianRouter(7, 2, (4, 4))
    experts = [S(nn.Linear(7, 3), Mystery()), S(torch.nn.CELU(), nn.Linear(7, 3))]
    body = S(
        Mystery(),
        nn.Residual(S(torch.nn.Softsign(), nn.Linear(7, 7)), Mystery()),
        nn.Mixture(experts, router, (4, 8)),
        torch.nn.LogSigmoid(),
    )
    text = refusal(body, FLAT)
    listed = [part.strip() for part in text.split(":", 1)[1].split(". The")[0].split(";")]
    assert listed == [
        "body.0 (Mystery)",
        "body.1.shortcut (Mystery)",
        "body.1.body.0 (Softsign)",
        "body.2.experts.0.1 (Mystery)",
        "body.2.experts.1.0 (CELU)",
        "body.3 (LogSigmoid)",
    ]


def test_a_shape_that_an_unsupported_module_would_have_changed_is_no_second_fault() -> None:
    body = S(torch.nn.Conv2d(3, 9, 3), nn.Conv2d(9, 4, 3), nn.GlobalAvgPool(), nn.Linear(4, 2))
    assert refusal(body, MAP).count("body.") == 1
    body = S(torch.nn.Conv2d(3, 9, 3), nn.AvgPool2d(2, 2, 1), nn.AvgPool2d(2, 2, 1))
    assert [p in refusal(body, MAP) for p in ("body.0", "body.1", "body.2")] == [True] * 3


REFUSED: dict[str, tuple[tuple[int, ...], Callable[[], Any], str]] = {
    "a torch layer": (FLAT, lambda: S(torch.nn.Linear(7, 3)), "Linear"),
    "a linear layer on a map": (MAP, lambda: S(nn.Linear(6, 3)), "put Flatten before"),
    "a convolution on features": (FLAT, lambda: S(nn.Conv2d(7, 3, 1)), "feature map"),
    "a padded average pool": (MAP, lambda: S(nn.AvgPool2d(2, 2, 1)), "padding"),
    "a kernel larger than its map": (MAP, lambda: S(nn.Conv2d(3, 3, 9)), "larger than"),
    "channels that do not match": (
        MAP,
        lambda: S(nn.Conv2d(4, 3, 1)),
        "4 channels, .* gives 3",
    ),
    "features that do not match": (
        FLAT,
        lambda: S(nn.Linear(8, 3)),
        "8 features, .* gives 7",
    ),
    "a residual of two shapes": (FLAT, lambda: S(nn.Residual(nn.Linear(7, 6))), "one shape"),
    "a residual of two orders": (
        (3, 2, 2),
        lambda: S(nn.Residual(nn.Linear(12, 12), nn.Flatten())),
        "put Flatten before",
    ),
    "a layer norm on a map": (MAP, lambda: S(nn.LayerNorm(3)), "flat features"),
    "a layer norm of another width": (FLAT, lambda: S(nn.LayerNorm(6)), "takes 6 features"),
    "a softmax on a map": (MAP, lambda: S(nn.Softmax()), "flat features"),
    "an output in channels-last order": (MAP, lambda: S(nn.Flatten()), "channels-last"),
    "a mixture inside an expert": (
        FLAT,
        lambda: nn.Mixture(
            [mixture(), S(nn.Linear(7, 3))], nn.BayesianRouter(7, 2, (4, 4)), (4, 8)
        ),
        "inside an expert",
    ),
    "an expert's output in channels-last order": (
        MAP,
        lambda: nn.Mixture(
            [S(nn.Conv2d(3, 2, 1), nn.Flatten()) for _ in range(2)],
            nn.BayesianRouter(3, 2, (4, 4)),
            (4, 8),
        ),
        "channels-last",
    ),
    "too many passes": (
        FLAT,
        lambda: nn.Mixture(
            [S(nn.Linear(7, 3)), S(nn.Linear(7, 3))],
            nn.BayesianRouter(7, 2, (4, 4), passes=65),
            (4, 8),
        ),
        "65 Monte Carlo passes",
    ),
    "a 16-bit convolution": (
        MAP,
        lambda: S(nn.Conv2d(3, 3, 1, 16)),
        "weights s16; there are",
    ),
    "a norm behind an activation": (
        FLAT,
        lambda: S(nn.ReLU(), nn.BatchNorm1d(7)),
        "follows Relu",
    ),
    "a norm of another width": (FLAT, lambda: S(nn.Linear(7, 5), nn.BatchNorm1d(7)), "gives 5"),
    "a router of another width": (
        FLAT,
        lambda: nn.Mixture(
            [S(nn.Linear(7, 3)), S(nn.Linear(7, 3))], nn.PlainRouter(9, 2, (4, 4)), (4, 8)
        ),
        "takes 9 features",
    ),
    "experts of two shapes": (
        FLAT,
        lambda: nn.Mixture(
            [S(nn.Linear(7, 3)), S(nn.Linear(7, 4))], nn.PlainRouter(7, 2, (4, 4)), (4, 8)
        ),
        "different shapes",
    ),
    "a softmax on one expert": (
        FLAT,
        lambda: nn.Mixture(
            [S(nn.Linear(7, 3)), S(nn.Linear(7, 3), nn.Softmax())],
            nn.PlainRouter(7, 2, (4, 4)),
            (4, 8),
        ),
        "end all of them alike",
    ),
    "two mixtures": (
        FLAT,
        lambda: S(mixture(), nn.Linear(3, 7), mixture()),
        "several mixtures",
    ),
    "a mixture twice": (
        FLAT,
        lambda: S(m := mixture(), nn.Linear(3, 7), m),
        "several mixtures",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_case_05_refused_when_the_model_is_built(case: str) -> None:
    shape, make, message = REFUSED[case]
    assert re.search(message, refusal(make(), shape))


def test_case_11_a_map_that_flattens_to_another_size_is_told_when_the_model_is_built() -> None:
    body = S(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 3))
    wanted = r"body\.2 \(Linear: takes 16 features, what is before it gives 144"
    assert re.search(wanted, refusal(body, (1, 8, 8)))


def test_a_module_that_is_no_model_is_refused() -> None:
    with pytest.raises(UnsupportedOp, match=r"edgeq\.nn\.Model"):
        graph_of(nn.Linear(3, 3))


class BatchInTheMiddle(torch.nn.Module):
    """As nn.MultiheadAttention does: what follows a refused node is refused too, in words."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x.transpose(0, 1).reshape(4, 2, 3).transpose(0, 1))


def test_a_batch_that_is_moved_is_refused_in_words() -> None:
    with pytest.raises(UnsupportedOp, match="it works along the batch"):
        edgeq.from_torch(BatchInTheMiddle(), torch.zeros(1, 4, 6))

"""The trained PyTorch model against the integers: what passes, what fails, and what is named."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.arrays import channels_last
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph
from edgeq.passes import quantize
from edgeq.prove.model import check_model, filled_up, first_departure, judge
from edgeq.reference import quantize_rows

ROWS = 80


def rows(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(ROWS, *shape)).astype(np.float32)


def settled(body: torch.nn.Module, x: np.ndarray) -> tuple[nn.Model, Graph, np.ndarray]:
    """A model whose ranges have followed its data, its lowered graph, and channels-last rows."""
    model = nn.Model(body, x.shape[1:])
    model.train()
    with torch.no_grad():
        for _ in range(60):  # until the running statistics are those of the rows
            model(torch.from_numpy(x))
    model.calibrate(x)
    given = channels_last(x)
    return model, quantize(graph_of(model), given, "minmax").graph, given


def map_body() -> nn.Sequential:
    """Every way in which a module and a node do not meet one to one."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())),
        nn.ReLU6(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(4 * 2 * 3, 9, "int4"),
        nn.LayerNorm(9),
        nn.ReLU(),
        nn.Linear(9, 5),
    )


def test_a_faithful_model_passes_and_no_layer_departs() -> None:
    torch.manual_seed(0)
    model, graph, x = settled(map_body(), rows(2, 4, 6))
    check = check_model(model, graph, x)
    assert check.passed, check.said
    assert (check.samples, check.filled, check.departs) == (ROWS, 0, None)
    assert check.mean_lsb is not None
    assert check.mean_lsb < 1.5
    departure = first_departure(model, graph, quantize_rows(graph, x))
    assert departure is not None
    assert departure.share < 0.05


@pytest.mark.parametrize(
    ("module", "named"),
    [(0, "body.0"), (8, "body.8"), (9, "body.9"), (11, "body.11")],
)
def test_the_first_layer_that_departs_is_named(module: int, named: str) -> None:
    """A module is changed behind the graph's back: fused, before and behind a flattened map."""
    torch.manual_seed(0)
    model, graph, x = settled(map_body(), rows(2, 4, 6))
    with torch.no_grad():
        model.body[module].weight.mul_(-1.7)
    departure = first_departure(model, graph, quantize_rows(graph, x))
    assert departure is not None
    assert (departure.layer, departure.share > 0.05) == (named, True)


def test_the_order_of_a_flattened_map_is_followed() -> None:
    """Layers that keep the order, on a map whose features PyTorch lists otherwise."""
    torch.manual_seed(1)
    body = nn.Sequential(
        nn.Conv1d(2, 3, 3), nn.Flatten(), nn.LayerNorm(3 * 5), nn.ReLU(), nn.Linear(15, 4)
    )
    model, graph, x = settled(body, rows(2, 7))
    departure = first_departure(model, graph, quantize_rows(graph, x))
    assert departure is not None
    assert departure.share < 0.05


def mixture_model(softmax: bool = False) -> tuple[nn.Model, Graph, np.ndarray]:
    torch.manual_seed(2)
    kinds = ("ternary", "int8")
    experts = [
        nn.Sequential(nn.Linear(6, 8, kind), nn.ReLU(), nn.Linear(8, 4), *[nn.Softmax()] * softmax)
        for kind in kinds
    ]
    body = nn.Mixture(experts, nn.BayesianRouter(6, 2, hidden=(8, 4), passes=4), kinds)
    return settled(body, rows(6))


def test_the_layer_of_an_expert_is_named() -> None:
    model, graph, x = mixture_model()
    with torch.no_grad():
        model.body.experts[1][2].weight.mul_(-2.0)
    check = check_model(model, graph, x)
    assert not check.passed
    assert check.departs == "int8/body.experts.1.2"
    assert (
        "the first layer that departs is int8/body.experts.1.2: fed the reference's" in check.said
    )


def test_other_routes_fail_even_where_every_expert_answers_alike() -> None:
    model, graph, x = mixture_model()
    with torch.no_grad():
        model.body.router.fc3.bias[:] = torch.tensor([50.0, -50.0])
    check = check_model(model, graph, x)
    assert not check.passed
    assert check.route_agreement < 0.95
    assert "routes agree on" in check.said


@pytest.mark.parametrize("in_experts", [False, True])
def test_a_final_softmax_is_judged_on_its_input(in_experts: bool) -> None:
    """Saturated probabilities are equal; the logits before them differ, and are what counts."""
    if in_experts:
        model, graph, x = mixture_model(softmax=True)
    else:
        torch.manual_seed(3)
        layer = nn.Linear(6, 4)
        model, graph, x = settled(nn.Sequential(layer, nn.Softmax()), rows(6))
    check = check_model(model, graph, x)
    assert check.passed, check.said
    judged = judge(graph, quantize_rows(graph, x))
    assert len(np.unique(judged.scale)) == (2 if in_experts else 1)
    assert not np.allclose(judged.scale, 1 / 256)
    assert check.mean_lsb is not None
    assert check.mean_lsb < 2


def test_a_tie_does_not_count_against_top1() -> None:
    """Two outputs with the same weights: which of them is larger is chance."""
    torch.manual_seed(4)
    layer = nn.Linear(6, 2)
    with torch.no_grad():
        layer.weight[1] = layer.weight[0]
    check = check_model(*settled(nn.Sequential(layer), rows(6)))
    assert (check.counted, check.top1_agreement, check.passed) == (0, None, True)


def test_a_regression_is_judged_by_its_mean_error() -> None:
    torch.manual_seed(5)
    model, graph, x = settled(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1)), rows(6))
    check = check_model(model, graph, x)
    assert (check.passed, check.top1_agreement) == (True, None)
    with torch.no_grad():
        model.body[2].bias += 0.2
    check = check_model(model, graph, x)
    assert not check.passed
    assert "steps in the mean, 2 are allowed" in check.said
    assert check.departs == "body.2"


def test_few_rows_are_filled_up_inside_their_range() -> None:
    x = rows(3)[:5]
    more = filled_up(x, 50, seed=1)
    assert len(more) == 50
    assert np.array_equal(more[:5], x)
    assert (more >= x.min(axis=0)).all()
    assert (more <= x.max(axis=0)).all()
    assert np.array_equal(more, filled_up(x, 50, seed=1))
    assert len(np.unique(more, axis=0)) > 40
    assert len(filled_up(x[:1], 50, seed=1)) == 50
    assert filled_up(x, 4, seed=1) is x


def test_seeded_rows_are_said() -> None:
    torch.manual_seed(6)
    model, graph, x = settled(nn.Sequential(nn.Linear(6, 4)), rows(6))
    check = check_model(model, graph, x[:7])
    assert (check.samples, check.filled) == (50, 43)
    assert "43 of them seeded" in check.said


def test_a_graph_with_one_wrong_weight_is_told_from_its_model() -> None:
    """The other side: the integers are wrong, as a fault in a pass would make them."""
    torch.manual_seed(7)
    model, graph, x = settled(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)), rows(6))
    weight = graph.nodes[1].params["weight"]
    wrong = replace(graph, constants={**graph.constants, weight: graph.constants[weight][::-1]})
    check = check_model(model, wrong, x)
    assert (check.passed, check.departs) == (False, "body.2")

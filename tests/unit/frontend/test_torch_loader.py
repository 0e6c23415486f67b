"""Every edgeq.nn composition as a graph: the float graph answers as the PyTorch model does."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from edgeq import nn
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph
from edgeq.nn.graph_plan import device_shape
from edgeq.ops.op import Array
from edgeq.passes import quantize
from edgeq.passes.float_forward import run_float
from edgeq.passes.verify import verify
from edgeq.reference import quantize_rows, run

torch.set_num_threads(1)

KINDS = ("ternary", 1, 2, 3, 4, 8, 16, "ptq")
S = nn.Sequential
FLAT, LINE, MAP = (7,), (3, 11), (3, 8, 6)


def separable() -> list[Any]:
    return nn.separable_block(6, 5, "int4", stride=(1, 2), depthwise_kind="ternary")


def expert(kind: str | int, features: int = 7, head: list[Any] | None = None) -> Any:
    tail = head if head is not None else [nn.Linear(6, 3)]
    return S(nn.LayerNorm(features), nn.Linear(features, 6, kind), nn.ReLU(), *tail)


def mixture(features: int = 7, bayesian: bool = True, **options: Any) -> nn.Mixture:
    kinds = ("ternary", 4, 8)
    router = nn.PlainRouter(features, 3, (9, 5), 0.2)
    if bayesian:
        router = nn.BayesianRouter(features, 3, (9, 5), 0.2, passes=4, seed=3)
    return nn.Mixture([expert(k, features) for k in kinds], router, kinds, **options)


def map_mixture(**options: Any) -> nn.Mixture:
    def head(kind: str | int) -> Any:
        return S(nn.Conv2d(4, 5, 2, kind), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 7 * 5, 3))

    router = nn.BayesianRouter(4, 2, (9, 5), passes=3)
    return nn.Mixture([head("ternary"), head(8)], router, ("ternary", 8), **options)


def flat_map_mixture() -> nn.TrunkMixture:
    """Router and experts read a flattened map: its order reaches both."""
    trunk = S(nn.Conv2d(3, 2, 3), nn.Flatten())
    return nn.TrunkMixture(trunk, mixture(2 * 6 * 4))


BODIES: dict[str, tuple[tuple[int, ...], Callable[[], Any]]] = {
    **{f"linear {k}": (FLAT, lambda k=k: S(nn.Linear(7, 5, k))) for k in KINDS},
    **{
        f"conv {k}": (MAP, lambda k=k: S(nn.Conv2d(3, 4, 3, k), nn.GlobalAvgPool()))
        for k in KINDS
        if k != 16
    },
    "linear without bias": (FLAT, lambda: S(nn.Linear(7, 5, 4, bias=False))),
    "linear per tensor": (FLAT, lambda: S(nn.Linear(7, 5, 4, per_tensor=True))),
    "conv per tensor": (MAP, lambda: S(nn.Conv2d(3, 4, 3, 4, per_tensor=True), nn.GlobalAvgPool())),
    "conv1d": (LINE, lambda: S(nn.Conv1d(3, 5, 3, 4, stride=2, padding=1), nn.GlobalAvgPool())),
    "conv1d flatten": (LINE, lambda: S(nn.Conv1d(3, 5, 4), nn.Flatten(), nn.Linear(40, 4))),
    "conv1d depthwise": (
        LINE,
        lambda: S(
            nn.Conv1d(3, 3, 3, groups=3),
            nn.BatchNorm1d(3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(27, 4),
        ),
    ),
    "conv2d strided and padded": (
        MAP,
        lambda: S(nn.Conv2d(3, 4, (3, 2), 8, (2, 1), (1, 0)), nn.Flatten(), nn.Linear(80, 3)),
    ),
    "conv2d of one channel": (
        (1, 6, 5),
        lambda: S(nn.Conv2d(1, 1, 3, padding=1), nn.Flatten(), nn.Linear(30, 3)),
    ),
    "conv2d from one channel": (
        (1, 6, 5),
        lambda: S(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(48, 3)),
    ),
    "separable": (
        MAP,
        lambda: S(*nn.conv_block(3, 6), *separable(), nn.GlobalAvgPool(), nn.Linear(5, 3)),
    ),
    "flatten keeps its order": (
        MAP,
        lambda: S(
            nn.Flatten(),
            nn.LayerNorm(144),
            nn.ReLU6(),
            nn.Dropout(0.5),
            nn.Linear(144, 6, "ternary"),
            nn.BatchNorm1d(6),
        ),
    ),
    "pools": (
        MAP,
        lambda: S(nn.MaxPool2d(3, 2, 1), nn.AvgPool2d((2, 1), 1), nn.Flatten(), nn.Linear(27, 3)),
    ),
    "residual": (
        FLAT,
        lambda: S(nn.Residual(S(nn.Linear(7, 7), nn.ReLU())), nn.ReLU(), nn.Linear(7, 3)),
    ),
    "residual with a shortcut": (
        MAP,
        lambda: S(
            nn.Residual(S(*nn.conv_block(3, 5)), S(nn.Conv2d(3, 5, 1))),
            nn.ReLU(),
            nn.GlobalAvgPool(),
        ),
    ),
    "residual of flattened maps": (
        MAP,
        lambda: S(
            nn.Residual(S(nn.Conv2d(3, 3, 3, padding=1), nn.Flatten()), nn.Flatten()),
            nn.Linear(144, 3),
        ),
    ),
    "residual of nothing": (FLAT, lambda: S(nn.Residual(S()), nn.Linear(7, 3))),
    "softmax": (FLAT, lambda: S(nn.Linear(7, 4), nn.Softmax())),
    "softmax of a flattened map": (MAP, lambda: S(nn.Flatten(), nn.Softmax(), nn.Linear(144, 3))),
    "paper expert": (FLAT, lambda: nn.paper_expert(7, (6, 5), 3)),
    "mixture": (FLAT, mixture),
    "mixture of a plain router": (FLAT, lambda: mixture(bayesian=False)),
    "mixture without a rule": (FLAT, lambda: mixture(rule="off")),
    "mixture, escalation": (FLAT, lambda: mixture(rule="escalation")),
    "mixture, gated": (FLAT, lambda: mixture(gate="probability")),
    "mixture, top 2": (FLAT, lambda: mixture(top_k=2)),
    "mixture, top 2, gated": (FLAT, lambda: mixture(top_k=2, gate="probability")),
    "mixture, top 3": (FLAT, lambda: mixture(top_k=3)),
    "mixture of feature maps": (MAP, lambda: S(nn.Conv2d(3, 4, 1), map_mixture(top_k=2))),
    "mixture before more layers": (FLAT, lambda: S(mixture(), nn.ReLU(), nn.Linear(3, 2))),
    "shared trunk": (
        FLAT,
        lambda: nn.TrunkMixture(S(nn.Linear(7, 7), nn.ReLU()), mixture(), "trunk"),
    ),
    "shared trunk, router sees the input": (
        FLAT,
        lambda: nn.TrunkMixture(S(nn.Linear(7, 7), nn.ReLU()), mixture(), "input"),
    ),
    "trunk of convolutions, router sees the input": (
        MAP,
        lambda: nn.TrunkMixture(
            S(nn.Conv2d(3, 4, 1)),
            nn.Mixture(
                [S(nn.GlobalAvgPool(), nn.Linear(4, 3, k)) for k in (1, 8)],
                nn.BayesianRouter(3, 2, (4, 4), passes=2),
                (1, 8),
            ),
            "input",
        ),
    ),
    "trunk that flattens": (MAP, flat_map_mixture),
}


def randomized(module: Any, generator: torch.Generator) -> None:
    """Weights, norms and running statistics off their starting points."""
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        if name.endswith(("running_var",)):
            value.data.uniform_(0.3, 2.0, generator=generator)
        elif name.endswith(("running_mean", "bias")):
            value.data.normal_(0, 0.3, generator=generator)
        elif value.dim() == 1 and name.endswith("weight"):
            value.data.uniform_(-1.5, 1.5, generator=generator)


def model_of(case: str) -> nn.Model:
    torch.manual_seed(1)
    shape, make = BODIES[case]
    body = make()
    randomized(body, torch.Generator().manual_seed(2))
    return nn.Model(body, shape, name="case").eval()


def rows_of(model: nn.Model, count: int = 12) -> tuple[Tensor, Array]:
    """Rows in PyTorch's layout and in the graph's."""
    x = torch.randn(count, *model.input_shape, generator=torch.Generator().manual_seed(3))
    a = x.numpy()
    if a.ndim == 4:
        return x, np.ascontiguousarray(a.transpose(0, 2, 3, 1))
    if a.ndim == 3:
        return x, np.ascontiguousarray(a.transpose(0, 2, 1)[:, None])
    return x, a


@pytest.mark.parametrize("case", BODIES)
def test_the_float_graph_answers_as_the_model(case: str) -> None:
    model = model_of(case)
    graph = verify(graph_of(model), "float")
    x, rows = rows_of(model)
    with torch.no_grad():
        wanted = model(x).numpy()
    got = run_float(graph, rows).values[graph.outputs[0]]
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, atol=1e-4, rtol=1e-4)


def quantized(model: nn.Model, rows: Array) -> Graph:
    return quantize(graph_of(model), rows, "minmax").graph


@pytest.mark.parametrize("case", [c for c in BODIES if "mixture" not in c and "trunk" not in c])
def test_the_integer_graph_follows_the_model(case: str) -> None:
    """Within a few steps of int8 at every layer: a wrong axis or order is far outside."""
    model = model_of(case)
    x, rows = rows_of(model, 40)
    graph = quantized(model, rows)
    output = graph.tensors[graph.outputs[0]].quant
    assert output is not None
    with torch.no_grad():
        wanted = model(x).numpy()
    q = run(graph, quantize_rows(graph, rows)).output.astype(float)
    got = (q - output.zero_point) * output.per_tensor
    assert np.abs(got.reshape(wanted.shape) - wanted).max() <= 0.06 * np.ptp(wanted)


@pytest.mark.parametrize(
    "case", [c for c in BODIES if c.startswith(("mixture", "shared", "trunk"))]
)
def test_the_integer_mixture_follows_the_model(case: str) -> None:
    """Curiosity frozen on both sides: routes agree but for near ties, and so do the outputs."""
    model = model_of(case)
    x, rows = rows_of(model, 60)
    model.calibrate(x.numpy())
    model.eval()
    with torch.no_grad():
        wanted = model(x).numpy()
    routing = model.mixtures[0].last_routing
    assert routing is not None
    graph = quantized(model, rows)
    output = graph.tensors[graph.outputs[0]].quant
    assert output is not None
    result = run(graph, quantize_rows(graph, rows))
    same = result.route == routing.experts[:, 0].numpy()
    assert same.mean() >= 0.85
    real = (result.output.astype(float) - output.zero_point) * output.per_tensor
    error = np.abs(real.reshape(wanted.shape) - wanted)[same].max(axis=-1)
    assert np.mean(error <= 0.08 * np.ptp(wanted)) >= 0.9


@pytest.mark.parametrize(
    ("shape", "wanted"), [((5,), (5,)), ((3, 9), (1, 9, 3)), ((3, 8, 6), (8, 6, 3))]
)
def test_device_shape(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    assert device_shape(shape) == wanted

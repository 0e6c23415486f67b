"""Small cascades of PyTorch layers, and their graphs as an export leaves them."""

import numpy as np
import torch

from edgeq import nn
from edgeq.emit.firmware_layers import LayerInfo, layer_table
from edgeq.frontend.torch_loader import graph_of
from edgeq.harness.record import SampleRecord
from edgeq.ir import Graph
from edgeq.ops.op import Array
from edgeq.passes import Quantized, quantize
from edgeq.passes.freeze_cascade import with_thresholds
from edgeq.reference import run

CLASSES, FEATURES = 4, 6


def rows(count: int = 80, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, FEATURES)).astype(np.float32)


def expert(width: int, kind: str, classes: int = CLASSES) -> nn.Sequential:
    first = nn.Linear(FEATURES, width, kind)
    return nn.Sequential(first, nn.ReLU(), nn.Linear(width, classes))


def cascade_model(stages: int = 2, *, trunk: bool = False, **options: object) -> nn.Model:
    """Wider and more precise from stage to stage; settled on `rows()`."""
    torch.manual_seed(2)
    kinds = ("ternary", "int4", "int8")
    experts = [expert(5 + 6 * i, kinds[i % 3]) for i in range(stages)]
    shared = nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.ReLU()) if trunk else None
    body = nn.Cascade(experts, trunk=shared, **options)  # type: ignore[arg-type]
    model = nn.Model(body, (FEATURES,), name="stages")
    model.calibrate(rows())
    return model


def quantized(model: nn.Model, features: frozenset[str] = frozenset()) -> Quantized:
    assert model.calibration is not None
    return quantize(graph_of(model), model.calibration, "mse", features)


def recorded(
    graph: Graph, x: Array, labels: Array
) -> tuple[tuple[LayerInfo, ...], list[SampleRecord]]:
    """A board's run of int8 rows x: layer i takes 100 + i cycles where it ran, the rest 7."""
    layers, answered = layer_table(graph), run(graph, x)
    names = [e.name for e in graph.nodes[-1].attrs.experts]

    def ran(route: int) -> tuple[int, ...]:
        asked = {None, *names[: route + 1]}
        return tuple(100 + i if layer.expert in asked else 0 for i, layer in enumerate(layers))

    answers = zip(answered.output.tolist(), answered.route.tolist(), labels.tolist(), strict=True)
    return layers, [
        SampleRecord(i, label, tuple(y), r, 0.0, 0.0, sum(ran(r)) + 7, 0, ran(r))
        for i, (y, r, label) in enumerate(answers)
    ]


def forced(graph: Graph, *thresholds: int) -> Graph:
    return with_thresholds(graph, thresholds)

"""Steps of streams in TensorFlow Lite Micro: each ring buffer is an input and an output more."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.emit.state_ports import with_state_ports
from edgeq.ir import Graph
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stream import stream
from tests.tflm.agreement import assert_agrees
from tests.tflm.cases import from_torch

HOPS = 9


def tcn() -> nn.Model:
    torch.manual_seed(2)
    body = nn.Sequential(
        *(nn.Conv1d(4, 6, 3, "int8", padding="causal"), nn.ReLU()),
        *(nn.Conv1d(6, 6, 3, "int8", groups=6, padding="causal", dilation=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(6 * 8, 3, "int8")),
    )
    return nn.Model(body, (4, 8), name="tcn")


def cascade() -> nn.Model:
    torch.manual_seed(3)
    experts = [nn.Sequential(nn.Flatten(), nn.Linear(6 * 6, 3, kind)) for kind in (4, 8)]
    trunk = nn.Sequential(nn.Conv1d(4, 6, 3, "int8"), nn.ReLU())
    return nn.Model(nn.Cascade(experts, trunk=trunk), (4, 8), name="cascade")


def step(make: Callable[[], nn.Model], hop: int) -> Graph:
    return select_kernels(stream(from_torch(make), hop), frozenset())


@pytest.mark.parametrize("make", [tcn, cascade])
def test_a_step_hop_by_hop(make: Callable[[], nn.Model]) -> None:
    graph = step(make, 2)
    assert len(with_state_ports(graph)[1]) == sum(n.op == "History" for n in graph.nodes) > 1
    shape = (HOPS, *graph.tensors[graph.inputs[0]].shape)
    assert_agrees(graph, np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8))

"""A recurrent layer in a stream: its whole sequence at each hop, the window's answers."""

from typing import Any

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.frontend.torch_loader import graph_of
from edgeq.nn.recurrent import Recurrent
from edgeq.passes import quantize
from edgeq.passes.stream import stream
from edgeq.streaming import check_step

FEATURES, FRAMES = 6, 10


def window(layer: type[Recurrent]) -> Any:
    torch.manual_seed(0)
    x = np.random.default_rng(1).normal(size=(20, FEATURES, FRAMES)).astype(np.float32)
    body = nn.Sequential(
        nn.Conv1d(FEATURES, 8, 3, "int8"),
        nn.ReLU(),
        layer(8, 5, "int8", last=True),
        nn.Linear(5, 2, "int8"),
    )
    model = nn.Model(body.eval(), (FEATURES, FRAMES), calibration=x)
    rows = np.ascontiguousarray(x.transpose(0, 2, 1)[:, None])
    return quantize(graph_of(model), rows, "minmax").graph


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.MGU])
@pytest.mark.parametrize("hop", [1, 3])
def test_a_step_is_the_window(layer: type[Recurrent], hop: int) -> None:
    """What stands before the layer makes the newest cells alone; a History has the others."""
    graph = window(layer)
    step = stream(graph, hop)
    check = check_step(step, graph)
    assert check.passed, check.said
    (node,) = (n for n in step.nodes if n.op in ("Lstm", "Gru", "Mgu"))
    assert step.tensors[node.inputs[0]].shape == (FRAMES - 2, 8)
    (conv,) = (n for n in step.nodes if n.op == "Conv2D")
    assert step.tensors[conv.outputs[0]].shape == (1, hop, 8)
    assert [n.op for n in step.nodes].count("History") == 2

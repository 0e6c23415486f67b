"""What a signal costs on ESC-10's half-wide network, counted on the virtual nucleo_l4r5zi."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.board import load_board
from edgeq.emit.firmware_layers import layer_table
from edgeq.estimating.routes import RoutedModel, counted
from edgeq.frontend.torch_loader import graph_of
from edgeq.passes import quantize
from edgeq.passes.freeze_router import chosen_experts
from tests.tflm.cases import EXAMPLES, example
from tests.unit.cascade.test_cascade_firmware import built

BOARD = load_board("nucleo_l4r5zi")


@pytest.mark.full
@pytest.mark.parametrize(
    ("signal", "most"), [("monte_carlo", 0.03), ("ensemble", 0.03), ("entropy", 0.001)]
)
def test_share_of_the_cheap_route(signal: str, most: float, tmp_path: Path) -> None:
    """Untrained: cycles depend on shapes alone."""
    made = example("esc10", "train")
    shape = nn.load(EXAMPLES / "esc10" / "checkpoint.pt").input_shape
    torch.manual_seed(0)
    whole = nn.Model(nn.Sequential(made.trunk(), made.expert("int8")), shape)
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    body = nn.Cascade([nn.narrowed(whole, 0.5, seed=0), whole], signal, escalate=0.5)
    model = nn.Model(body, shape)
    model.calibrate(x)
    graph = quantize(graph_of(model), x.transpose(0, 2, 3, 1), "mse", BOARD.features).graph
    rows = np.zeros((1, *graph.tensors[graph.inputs[0]].shape), np.int8)
    subject = RoutedModel(graph, layer_table(graph), rows, chosen_experts(graph, rows))
    cheap = min(counted(subject, BOARD, built(graph, BOARD.name, tmp_path)), key=lambda r: r.cycles)
    extra = sum(
        cheap.layers[layer.index]
        for layer in subject.layers
        if layer.name == "signal" or "heads" in layer.name
    )
    print(f"{signal}: {extra:,.0f} of {cheap.cycles:,.0f} cycles, {extra / cheap.cycles:.2%}")
    assert 0 < extra <= most * cheap.cycles

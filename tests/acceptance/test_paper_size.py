"""Models of the paper's size, 1536-640-320-5: what their weights take, where they fit, how long."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import Module

import edgeq
from edgeq import nn, pipeline
from edgeq.errors import MemoryBudget, Toolchain
from edgeq.frontend.torch_loader import graph_of
from edgeq.passes import quantize
from edgeq.toolchain import find_compiler
from edgeq.weights import pack_weights

ROWS = 32
BOARD = "nucleo_l4r5zi"


def model_of(body: Module) -> nn.Model:
    """An untrained model of this body, calibrated on random embeddings."""
    torch.set_num_threads(1)
    x = np.random.default_rng(0).normal(size=(ROWS, 1536)).astype(np.float32)
    model = nn.Model(body, (1536,), calibration=x, name="paper")
    model.calibrate()
    return model


def saved(body: Module, folder: Path) -> Path:
    """The model file of this body; skips without a cross compiler, which every export needs."""
    try:
        find_compiler()
    except Toolchain as error:
        pytest.skip(str(error))
    edgeq.save(model_of(body), folder / "model.pt")
    return folder / "model.pt"


@pytest.mark.parametrize(
    ("kind", "limit"), [("ternary", 340_000), pytest.param(4, 640_000, marks=pytest.mark.full)]
)
def test_a_single_expert_packs_at_its_true_width(kind: str | int, limit: int) -> None:
    torch.manual_seed(0)
    model = model_of(nn.paper_expert(kind=kind))
    packed = pack_weights(quantize(graph_of(model), model.calibration, "minmax").graph)
    print(f"{kind}: {packed.total_bytes:,} B of model constants")
    assert packed.total_bytes <= limit


@pytest.mark.full
def test_replicated_experts_are_refused_with_the_numbers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = saved(nn.paper_mixture(("ternary", 4, 8)), tmp_path)
    with pytest.raises(MemoryBudget) as caught:
        pipeline.export(path, BOARD, tmp_path / "out", method="minmax")
    message = str(caught.value)
    assert caught.value.exit_code == 4
    for part in (BOARD, "flash has 2,097,152 B", "B too many", "largest:"):
        assert part in message, message
    assert re.search(r"largest: int8/\S+ \(99\d,\d{3} B\)", message), message
    assert not (tmp_path / "out").exists()


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_shared_trunk_fits(tmp_path: Path) -> None:
    """Built for the board by the real compiler."""
    torch.manual_seed(0)
    path = saved(nn.paper_mixture(("ternary", 4, 8), shared_trunk=True), tmp_path)
    # untrained: its answers are ties, so its own proof is no matter here
    report = pipeline.export(path, BOARD, tmp_path / "warm", method="minmax", accept_mismatch=True)
    assert report["enforced"]
    assert report["flash_bytes"] <= 2_097_152
    assert report["ram_bytes"] <= 655_360

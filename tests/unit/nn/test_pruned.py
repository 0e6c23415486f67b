"""Channels left out: which, what stays of the answers, and the cycles of the board that go."""

from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.board import load_board
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.planning.table import Bench
from edgeq.toolchain import find_compiler

SILENT = [1, 2, 6, 7, 10, 13, 14, 15]  # of sixteen


def network() -> nn.Model:
    """A convolution, a depthwise-separable block, a pool, a flattened map and two dense layers."""
    torch.manual_seed(5)
    body = nn.Sequential(
        *nn.conv_block(1, 16, "ptq"),
        *nn.separable_block(16, 24, "ptq", depthwise_kind="ptq"),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 16, 32, "ptq"),
        nn.ReLU(),
        nn.Linear(32, 4, "ptq"),
    )
    x = np.random.default_rng(2).normal(size=(40, 1, 8, 8)).astype(np.float32)
    return nn.Model(body, (1, 8, 8), calibration=x, name="net").eval()


def outputs(model: nn.Model) -> list[int]:
    return [len(layer.weight) for layer in model.body.layers.values()]


def test_shapes_follow_through_depthwise_pools_and_flattened_maps() -> None:
    model = network()
    assert outputs(nn.pruned(model, 1.0)) == [16, 16, 24, 32, 4]
    made = nn.pruned(model, 0.5)
    assert outputs(made) == [8, 8, 12, 16, 4]
    assert made.predict(model.calibration)[0].shape == (40, 4)
    assert outputs(nn.pruned(model, 0.01)) == [4, 4, 4, 4, 4]
    assert outputs(nn.pruned(model, {"body.0": 0.76, "body.11": 0.25}))[:4] == [12, 12, 24, 8]
    np.testing.assert_allclose(
        nn.pruned(model, 1.0).predict(model.calibration)[0],
        model.predict(model.calibration)[0],
        rtol=1e-4,
        atol=1e-5,
    )


def test_silent_and_unread_channels_go_first_and_the_answers_stay() -> None:
    """Half of the stem's channels are 0 behind its ReLU, half of the dense layer's are not read."""
    model = network()
    stem, norm, dense, last = model.body[0], model.body[1], model.body[11], model.body[13]
    with torch.no_grad():
        stem.weight[SILENT] = 0.0
        norm.weight[SILENT] = 0.0
        norm.bias[SILENT] = -1.0
        for depthwise in (m for m in model.body if isinstance(m, nn.Conv2d) and m.groups > 1):
            depthwise.weight[SILENT] *= 50  # loud, but it hears nothing
        dense.weight[16:] *= 10
        last.weight[:, 16:] = 0.0
    made = nn.pruned(model, {"body.0": 0.5, "body.11": 0.5})
    assert outputs(made) == [8, 8, 24, 16, 4]
    x = model.calibration
    np.testing.assert_allclose(made.predict(x)[0], model.predict(x)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.full
def test_fewer_channels_are_fewer_cycles() -> None:
    """Counted on the virtual board: half of the channels, less than half of the cycles."""
    bench, model = Bench(load_board("virtual_m4"), find_compiler("auto")), network()
    before, after = (
        bench.count(edgeq.quantize(one, weights="int8", progress=False))
        for one in (model, nn.pruned(model, 0.5))
    )
    assert after.cycles < 0.5 * before.cycles
    for old, new in zip(before.layers, after.layers, strict=True):
        assert (old.name, old.op) == (new.name, new.op)
        assert new.cycles < old.cycles
        assert new.weight_bytes <= old.weight_bytes
    assert after.flash_bytes < before.flash_bytes


def residual() -> nn.Model:
    inner = nn.Sequential(nn.Linear(16, 32, "ptq"), nn.ReLU(), nn.Linear(32, 16, "ptq"))
    body = nn.Sequential(nn.Linear(16, 16, "ptq"), nn.Residual(inner), nn.Linear(16, 3, "ptq"))
    x = np.random.default_rng(0).normal(size=(9, 16)).astype(np.float32)
    return nn.Model(body, (16,), calibration=x).eval()


def test_what_is_added_to_others_stays() -> None:
    made = nn.pruned(residual(), 0.5)
    assert outputs(made) == [16, 16, 16, 3], "inside the branch alone"
    trained = nn.fit(made, (made.calibration, np.arange(9) % 3), epochs=1, progress=False)
    assert np.isfinite(trained.epochs[0].train_loss)


@pytest.mark.parametrize(
    ("make", "keep", "kind", "said"),
    [
        (network, 0.0, BadInput, "the share of body.0 is 0.0"),
        (network, float("nan"), BadInput, "the share of body.0 is nan"),
        (network, {"body.11": 1.5}, BadInput, "the share of body.11 is 1.5"),
        (network, {"body.77": 0.5}, BadInput, "no layer 'body.77' with weights"),
        (network, {"body.3": 0.5}, BadInput, "body.3 is a DepthwiseConv2D; name a"),
        (network, {"body.13": 0.5}, UnsupportedOp, "body.13 reaches the answer"),
        (residual, {"body.0": 0.5}, UnsupportedOp, r"body.0 is read by body.1 \(Add\)"),
    ],
)
def test_what_cannot_be_is_said(make: Any, keep: Any, kind: Any, said: str) -> None:
    with pytest.raises(kind, match=said):
        nn.pruned(make(), keep)


def test_no_data_quantised_weights_and_nothing_to_prune() -> None:
    lone = nn.Model(nn.Sequential(nn.Linear(8, 16, "ptq")), (8,))
    with pytest.raises(BadInput, match="pruned needs real inputs"):
        nn.pruned(lone, 0.5)
    with pytest.raises(UnsupportedOp, match="every layer's channels are added to others"):
        nn.pruned(lone, 0.5, x=np.eye(8, dtype=np.float32))
    done = edgeq.quantize(residual(), weights="int8", progress=False)
    with pytest.raises(BadInput, match=r"weights of body.0 are int8 already"):
        nn.pruned(done, 0.5)

"""Layers that say nothing, or next to nothing, still export: scales stay within the integers."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeq import nn
from edgeq.emit.firmware import firmware_project
from edgeq.errors import UnsupportedOp
from edgeq.frontend.torch_loader import graph_of
from edgeq.memory import plan_memory
from edgeq.ops.op import Array
from edgeq.passes import Quantized, quantize
from edgeq.reference import quantize_rows, run
from edgeq.weights import pack_weights

Body = torch.nn.Module
ROWS = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
DSP = frozenset({"dsp"})


def quantized(body: Body, rows: Array = ROWS, features: frozenset[str] = frozenset()) -> Quantized:
    """As an export would, down to the C sources; rows channels-first."""
    model = nn.Model(body, rows.shape[1:])
    q = quantize(graph_of(model), np.moveaxis(rows, 1, -1), "mse", features)
    firmware_project(
        q.graph, plan_memory(q.graph), pack_weights(q.graph), model_name="m", digest="0" * 64
    )
    return q


def answers(q: Quantized, rows: Array = ROWS) -> Array:
    """The reference's answers as real numbers."""
    kind = q.graph.tensors[q.graph.outputs[0]].quant
    assert kind is not None
    output = run(q.graph, quantize_rows(q.graph, np.moveaxis(rows, 1, -1))).output.astype(
        np.float64
    )
    return (output - kind.zero_point) * kind.per_tensor


def dead(features: int, hidden: int, bias: float = -100.0) -> nn.Sequential:
    body = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 4))
    body[0].bias.data.fill_(bias)
    body[2].bias.data.copy_(torch.tensor([1.0, -2.0, 0.5, 0.0]))
    return body


@pytest.mark.parametrize("features", [frozenset(), DSP])
@pytest.mark.parametrize("bias", [-20.0, -100.0, -1e6])
def test_case_06_a_layer_that_never_fires_exports_as_zero(
    features: frozenset[str], bias: float
) -> None:
    q = quantized(dead(8, 16, bias), features=features)
    assert q.notes == ("body.0 never fires: its output is 0 on every calibration row",)
    assert np.abs(answers(q) - [1.0, -2.0, 0.5, 0.0]).max() < 3 / 255


def test_case_06_a_silent_layer_keeps_the_fast_kernel_and_can_still_speak() -> None:
    body = nn.Sequential(nn.Linear(8, 4), nn.ReLU())
    body[0].weight.data.fill_(1.0)
    body[0].bias.data.fill_(-3.0)
    balanced = ROWS - ROWS.mean(axis=1, keepdims=True)
    q = quantized(body, balanced, DSP)
    assert q.notes
    assert "dsp" in str(q.graph.nodes[0].kernel)
    assert np.abs(answers(q, np.ones((1, 8), np.float32)) - 5.0).max() < 0.1


def test_case_06_layers_that_fire_have_no_note() -> None:
    assert quantized(dead(8, 16, 0.0)).notes == ()


def test_case_06_one_dead_expert_does_not_block_its_mixture() -> None:
    experts = [dead(8, 16), nn.Sequential(nn.Linear(8, 4, "int4"))]
    router = nn.BayesianRouter(8, 2, hidden=(8, 4))
    q = quantized(nn.Mixture(experts, router, ("int8", "int4")))
    assert q.notes == (
        "int8: body.experts.0.0 never fires: its output is 0 on every calibration row",
    )


def test_case_06_a_dead_router_still_routes() -> None:
    router = nn.BayesianRouter(8, 2, hidden=(8, 4))
    router.fc1.bias.data.fill_(-1e3)
    experts = [nn.Sequential(nn.Linear(8, 4)), nn.Sequential(nn.Linear(8, 4, "int4"))]
    assert np.isfinite(answers(quantized(nn.Mixture(experts, router, ("int8", "int4"))))).all()


def map_layers(norm: Callable[[nn.BatchNorm2d], object]) -> nn.Sequential:
    body = nn.Sequential(
        nn.Conv2d(1, 4, 3, "int1"),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.GlobalAvgPool(),
        nn.Linear(4, 2),
    )
    norm(body[1])
    return body


@pytest.mark.parametrize("features", [frozenset(), DSP])
@pytest.mark.parametrize("offset", [-3.0, 0.0, 5.0])
def test_case_06_channels_that_batch_norm_switched_off(
    features: frozenset[str], offset: float
) -> None:
    def off(norm: nn.BatchNorm2d) -> None:
        norm.weight.data.zero_()
        norm.bias.data.fill_(offset)

    body, rows = map_layers(off), ROWS.reshape(8, 1, 8, 8)
    wanted = body.eval()(torch.from_numpy(rows)).detach().numpy()
    got = answers(quantized(body, rows, features), rows)
    assert np.abs(got - wanted).max() <= 0.02 * np.abs(wanted).max() + 1e-9


@pytest.mark.parametrize("kind", [k for k in nn.KINDS if k != "ptq"])
@pytest.mark.parametrize("bias", [1e3, -1e3, 1e12, 1e-20])
def test_case_06_biases_beyond_their_weights_keep_every_format(kind: str, bias: float) -> None:
    body = nn.Sequential(nn.Linear(8, 6, kind))
    body[0].bias.data.fill_(bias)
    body[0].bias.data[0] = 0.0
    wanted = body.eval()(torch.from_numpy(ROWS)).detach().numpy()
    q = quantized(body)
    quant = q.graph.tensors[q.graph.outputs[0]].quant
    assert quant is not None
    assert np.abs(answers(q) - wanted).max() <= 2 * quant.per_tensor + 0.02 * np.abs(wanted).max()


@pytest.mark.parametrize("scale", [1e-9, 1e-5, 1.0, 1e6])
def test_inputs_of_any_scale_keep_their_digits(scale: float) -> None:
    body = nn.Sequential(nn.Linear(8, 6, bias=False))
    wanted = body.eval()(torch.from_numpy(ROWS)).detach().numpy()
    q = quantized(body, (ROWS * scale).astype(np.float32))
    got = answers(q, (ROWS * scale).astype(np.float32)) / scale
    assert np.abs(got - wanted).max() < 0.1 * np.abs(wanted).max()


@pytest.mark.parametrize("features", [frozenset(), DSP])
@pytest.mark.parametrize("beta", [0.0, 2.0])
def test_case_09_layer_norm_without_gain_exports(features: frozenset[str], beta: float) -> None:
    body = nn.Sequential(
        nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 4), nn.LayerNorm(4), nn.Linear(4, 3)
    )
    body[1].weight.data.zero_()
    body[1].bias.data.fill_(beta)
    wanted = body.eval()(torch.from_numpy(ROWS)).detach().numpy()
    got = answers(quantized(body, features=features))
    assert np.abs(got - wanted).max() <= 0.05 * np.abs(wanted).max() + 1e-6


def test_case_09_a_constant_input_of_layer_norm_exports() -> None:
    body = nn.Sequential(nn.Linear(8, 4, bias=False), nn.LayerNorm(4))
    body[0].weight.data.zero_()
    assert not answers(quantized(body)).any()


@given(st.sampled_from(["body", "shortcut"]), st.sampled_from([0.0, 1e-12]))
def test_case_06_a_residual_branch_that_says_nothing(branch: str, gain: float) -> None:
    body, shortcut = nn.Linear(8, 8), nn.Linear(8, 8)
    for part, module in (("body", body), ("shortcut", shortcut)):
        if part == branch:
            module.weight.data.mul_(gain)
    residual = nn.Sequential(nn.Residual(body, shortcut), nn.ReLU())
    wanted = residual.eval()(torch.from_numpy(ROWS)).detach().numpy()
    assert np.abs(answers(quantized(residual)) - wanted).max() < 0.04 * np.abs(wanted).max()


@pytest.mark.parametrize("kind", ["ternary", "int4", "int8", "int16", "ptq"])
@pytest.mark.parametrize("per_tensor", [False, True])
def test_case_06_channels_without_weights_keep_their_bias(kind: str, per_tensor: bool) -> None:
    layer = nn.Linear(8, 3, kind, per_tensor=per_tensor)
    layer.weight.data.zero_()
    layer.bias.data.copy_(torch.tensor([1.0, -0.25, 0.0]))
    got = answers(quantized(nn.Sequential(layer), 1e3 * ROWS), 1e3 * ROWS)
    assert np.abs(got - [1.0, -0.25, 0.0]).max() < 1.25 / 255


@pytest.mark.parametrize("beta", [-1e4, 1e4])
def test_case_09_a_large_beta_keeps_its_place(beta: float) -> None:
    norm = nn.LayerNorm(8)
    norm.weight.data.zero_()
    norm.bias.data.fill_(beta)
    got = answers(quantized(nn.Sequential(norm, nn.ReLU())))
    assert np.abs(got - max(beta, 0.0)).max() <= 1e4 / 255


def test_case_30_a_layer_too_wide_for_its_accumulator_is_an_unsupported_op() -> None:
    wide = nn.Linear(70_000, 2, bias=False)
    wide.weight.data.fill_(1.0)
    rows = np.random.default_rng(0).normal(size=(4, 70_000)).astype(np.float32)
    with pytest.raises(UnsupportedOp, match=r"body.0.*an accumulator can reach 2,266,950,000") as e:
        quantized(nn.Sequential(wide), rows)
    assert e.value.exit_code == 3

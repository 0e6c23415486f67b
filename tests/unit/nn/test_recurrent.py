"""Recurrent layers: torch's numbers, a scale a gate, ranges of sequences, the proof, refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.frontend.torch_loader import graph_of
from edgeq.nn.graph_ops import run_op
from edgeq.nn.recurrent import RECURRENT_KINDS, Recurrent
from edgeq.ops import OPS
from edgeq.passes import quantize
from edgeq.prove.model import check_model
from tests.recurrent_cases import float_graph

torch.set_num_threads(1)
FEATURES, STEPS = 4, 7


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, FEATURES, STEPS)).astype(np.float32)


def net(kind: str | int, x: np.ndarray, layer: type[Recurrent] = nn.LSTM) -> nn.Model:
    torch.manual_seed(0)
    last = "ptq" if kind == "ptq" else "int8"
    body = nn.Sequential(
        layer(FEATURES, 6, kind), layer(6, 5, kind, last=True), nn.Linear(5, 2, last)
    )
    return nn.Model(body, (FEATURES, STEPS), calibration=x, name="heard")


def trained(kind: str | int, layer: type[Recurrent]) -> nn.Model:
    x = rows(64)
    y = (x[:, 0].sum(axis=1) > 0).astype(np.int64)
    model = net(kind, x, layer)
    nn.fit(model, (x, y), epochs=40, lr=2e-2, progress=False)
    model.calibrate()
    return model


def test_it_is_torchs_lstm() -> None:
    """In float, untrained: the same sums."""
    torch.manual_seed(0)
    layer, theirs = nn.LSTM(FEATURES, 6, "ptq"), torch.nn.LSTM(FEATURES, 6, batch_first=True)
    with torch.no_grad():
        layer.given.weight.copy_(theirs.weight_ih_l0)
        layer.kept.weight.copy_(theirs.weight_hh_l0)
        assert layer.given.bias is not None
        layer.given.bias.copy_(theirs.bias_ih_l0 + theirs.bias_hh_l0)
        x = torch.from_numpy(rows(5))
        wanted = theirs(x.transpose(1, 2))[0].transpose(1, 2)
        step = 2.0 ** layer.cell_power(STEPS)
        assert (layer.eval()(x) - wanted).abs().max() < 2 * STEPS * step


FULL = [pytest.param(nn.LSTM, k, marks=pytest.mark.full) for k in ("int4", "ternary", "ptq")]
FULL += [pytest.param(nn.MGU, k, marks=pytest.mark.full) for k in ("int4", "ternary", "ptq")]
FULL += [pytest.param(nn.GRU, k, marks=pytest.mark.full) for k in ("int8", "ternary", "ptq")]


@pytest.mark.parametrize(
    ("layer", "kind"), [(nn.LSTM, "int8"), (nn.GRU, "int4"), (nn.MGU, "int8"), *FULL]
)
def test_the_integers_are_the_trained_model(
    layer: type[Recurrent], kind: str, tmp_path: Path
) -> None:
    """Saved, loaded and quantised: the proof `model`, within two steps in the mean."""
    edgeq.save(trained(kind, layer), tmp_path / "m.pt")
    model = nn.load(tmp_path / "m.pt")
    assert model.calibration is not None
    graph = graph_of(model)
    x = np.ascontiguousarray(model.calibration.transpose(0, 2, 1)[:, None])
    check = check_model(model, quantize(graph, x, "minmax").graph, x)
    assert check.passed, check.said
    assert check.mean_lsb is not None
    assert check.mean_lsb < 2


def test_it_is_torchs_gru() -> None:
    torch.manual_seed(0)
    layer, theirs = nn.GRU(FEATURES, 6, "ptq"), torch.nn.GRU(FEATURES, 6, batch_first=True)
    with torch.no_grad():
        for gates, name in ((layer.given, "ih"), (layer.kept, "hh")):
            gates.weight.copy_(getattr(theirs, f"weight_{name}_l0"))
            assert gates.bias is not None
            gates.bias.copy_(getattr(theirs, f"bias_{name}_l0"))
        x = torch.from_numpy(rows(5))
        wanted = theirs(x.transpose(1, 2))[0].transpose(1, 2)
        assert (layer.eval()(x) - wanted).abs().max() < 2 * STEPS * 2**-15


@pytest.mark.parametrize("kind", [k for k in RECURRENT_KINDS if k != "ptq"])
def test_codes_are_shipped_as_trained(kind: str) -> None:
    """One scale a gate, no code beyond the kind."""
    model = net(kind, rows(20))
    graph = quantize(graph_of(model), rows(20).transpose(0, 2, 1)[:, None], "minmax").graph
    top = nn.KINDS[kind].top
    for node in (n for n in graph.nodes if n.op == "Lstm"):
        layer = model.get_submodule(node.name.removesuffix(".lstm"))
        assert isinstance(layer, nn.LSTM)
        for role, gates in (("input_weight", layer.given), ("recurrent_weight", layer.kept)):
            codes, scale = gates.quantized()
            assert len(set(scale.tolist())) <= 4
            np.testing.assert_array_equal(graph.param(node, role), codes.numpy())
            assert np.abs(graph.param(node, role)).max() <= top


def test_a_hidden_state_may_outgrow_its_range() -> None:
    """What is observed is not what was clipped to the range before."""
    layer = nn.LSTM(FEATURES, 6).train()
    x = torch.from_numpy(rows(8))
    layer(0.01 * x)
    before = float(layer.kept.act.high)
    with torch.no_grad():
        layer.given.weight.mul_(50)
    for _ in range(4):
        layer(x)
    assert float(layer.kept.act.high) > 2 * before
    assert layer.cell_power(STEPS) > -15


def test_a_bias_that_no_accumulator_holds_makes_its_gate_coarser() -> None:
    model = net("int4", rows(20))
    layer = model.body[0]
    with torch.no_grad():
        layer.given.weight[:6] = 1e-9
        layer.given.bias[:6] = 3.0
    x = rows(20).transpose(0, 2, 1)[:, None]
    graph = quantize(graph_of(model.eval()), np.ascontiguousarray(x), "minmax").graph
    assert np.abs(graph.param(graph.nodes[1], "bias").astype(np.int64)).max() <= 2**30


@pytest.mark.parametrize("name", ["lstm", "gru", "mgu"])
def test_a_graph_of_others_can_be_trained(name: str) -> None:
    """The op has a gradient, and is the numpy op."""
    graph, x = float_graph(name), torch.randn(2, 9, 7)
    (node,) = graph.nodes
    held = {r: torch.tensor(v, requires_grad=True) for r, v in graph.constants.items()}
    made = run_op(node.op, node.attrs, [x], held)
    made.sum().backward()
    assert all(v.grad is not None and v.grad.abs().sum() > 0 for v in held.values())
    plain = {r: v.detach().numpy() for r, v in held.items()}
    wanted = OPS[node.op].float_forward(node.attrs, (x.numpy(),), plain)
    np.testing.assert_allclose(made.detach().numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("kind", ["int1", "int2", "int9", "int16"])
def test_kinds_without_a_kernel_are_refused(kind: str) -> None:
    with pytest.raises(BadInput, match=f"kind '{kind}' have no kernel; choose from ternary"):
        nn.LSTM(4, 4, kind)


@pytest.mark.parametrize(
    ("body", "shape", "said"),
    [
        (nn.Sequential(nn.LSTM(4, 3)), (5, 7), "takes 4 features, what is before it gives 5"),
        (nn.Sequential(nn.Flatten(), nn.LSTM(4, 3)), (4, 7), "takes a sequence"),
        (nn.Sequential(nn.LSTM(4, 3)), (4, 7, 2), "takes a sequence"),
    ],
)
def test_what_is_no_sequence_is_refused(body: nn.Sequential, shape: tuple[int, ...], said: str):
    with pytest.raises(UnsupportedOp, match=said):
        nn.Model(body, shape)


def test_rows_of_another_shape_are_refused() -> None:
    with pytest.raises(BadInput, match=r"LSTM takes \(N, 4, T\), got \(2, 5, 7\)"):
        nn.LSTM(4, 3)(torch.zeros(2, 5, 7))

"""Two widths inside one layer: the answers stay, the runs lie in place and cost their parts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.board import load_board
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.memory import plan_memory
from edgeq.planning.table import Bench
from edgeq.sources import Trained
from edgeq.toolchain import find_compiler

DSP = frozenset({"dsp"})


def dense(hidden: int = 64) -> nn.Model:
    torch.manual_seed(3)
    layers = [nn.Linear(hidden, hidden, "ptq"), nn.ReLU(), nn.Linear(hidden, 10, "ptq")]
    x = np.random.default_rng(0).normal(size=(64, hidden)).astype(np.float32)
    return nn.Model(nn.Sequential(*layers), (hidden,), calibration=x, name="dense").eval()


def maps() -> nn.Model:
    """The order goes through a depthwise layer, a pool and a flattened map."""
    torch.manual_seed(4)
    body = nn.Sequential(
        *nn.conv_block(2, 24, "ptq"),
        nn.MaxPool2d(2),
        nn.Conv2d(24, 24, 3, "ptq", padding=1, groups=24),
        nn.HardSwish(),
        nn.Flatten(),
        nn.Linear(24 * 9, 5, "ptq"),
    )
    for norm in (m for m in body if isinstance(m, nn.BatchNorm2d)):
        norm.weight.data.uniform_(0.5, 2.0)
        norm.get_buffer("running_mean").normal_()
    x = np.random.default_rng(1).normal(size=(40, 2, 6, 6)).astype(np.float32)
    return nn.Model(body, (2, 6, 6), calibration=x, name="maps").eval()


def answers(model: nn.Model) -> Any:
    return model.predict(model.calibration)[0]


@pytest.mark.parametrize("make", [dense, maps])
@pytest.mark.parametrize("share", [0.34, 0.6])
def test_a_float_model_answers_the_same(make: Any, share: float) -> None:
    model = make()
    split = nn.in_two_runs(model, {"body.0": share})
    assert list(split.body.layers)[:2] == ["body.0.wide", "body.0.narrow"]
    outputs = len(model.body[0].weight)
    wide = len(split.body.layers["body.0.wide"].weight)
    assert wide == 8 * round(share * outputs / 8)
    np.testing.assert_allclose(answers(split), answers(model), rtol=1e-4, atol=1e-5)
    moved = split.body.layers["body.0.wide"].weight.detach().flatten(1)
    assert not torch.equal(moved, model.body[0].weight.detach().flatten(1)[:wide])


def test_the_wide_run_holds_what_the_narrow_kind_would_cost_most() -> None:
    """Rows that int4 spoils (one large weight, others small) are the wide ones."""
    model = dense()
    spoiled = [3, 11, 17, 29, 40, 41, 55, 63]
    with torch.no_grad():
        model.body[0].weight[spoiled, 0] = 40.0
    split = nn.in_two_runs(model, {"body.0": 8 / 64})
    wide = split.body.layers["body.0.wide"].weight
    assert torch.equal(wide, model.body[0].weight[spoiled])
    unread = dense()
    with torch.no_grad():
        unread.body[0].weight[spoiled, 0] = 40.0
        unread.body[2].weight[:, spoiled] = 0.0
    other = nn.in_two_runs(unread, {"body.0": 8 / 64})
    assert float(other.body.layers["body.0.wide"].weight.detach().abs().max()) < 40


def halved() -> nn.Model:
    split = nn.in_two_runs(dense(), {"body.0": 0.25})
    return edgeq.quantize(split, weights="int8", keep={"body.0.narrow": "int4"}, progress=False)


def test_runs_lie_in_place() -> None:
    made = halved()
    graph = Trained("0" * 64, made).quantized(made.calibration, "mse", DSP, None).graph
    assert [n.op for n in graph.nodes].count("ConcatInPlace") == 1
    plan = plan_memory(graph)
    (whole,) = {plan.places[n] for n in ("body.0.wide.body.1", "body.0.narrow.body.1")}
    assert plan.offsets == {"body.0.narrow.body.1": 16}
    assert plan.buffer(whole).bytes == 64


@pytest.mark.full
def test_runs_are_bit_exact_and_nothing_joins_them(tmp_path: Path) -> None:
    """Each has the kernel of its width, and every proof holds."""
    report = edgeq.export(halved(), "cortex-m4", tmp_path / "out")
    assert all(check["passed"] for check in report["checks"])
    kernels = {layer["name"]: layer["kernel"] for layer in report["layers"]}
    assert kernels == {
        "body.0.wide": "edgeq_fully_connected_s8_s8_dsp",
        "body.0.narrow": "edgeq_fully_connected_s8_s4_dsp",
        "body.2": "edgeq_fully_connected_s8_s8_dsp",
    }


@pytest.mark.full
def test_a_layer_of_two_widths_costs_the_sum_of_its_parts() -> None:
    """Within 3 % of its share of the layer at each width, counted on the virtual board."""
    bench, model = Bench(load_board("virtual_m4"), find_compiler("auto")), dense(256)
    split = nn.in_two_runs(model, {"body.0": 0.25})
    for narrow in ("int4", "ternary"):
        uniform = [
            bench.count(bench.quantized(model, {"body.0": kind, "body.2": "int8"})).layers[0].cycles
            for kind in ("int8", narrow)
        ]
        widths = {"body.0.wide": "int8", "body.0.narrow": narrow, "body.2": "int8"}
        layers = bench.count(bench.quantized(split, widths)).layers
        assert [layer.name for layer in layers] == list(widths)
        parts = 0.25 * uniform[0] + 0.75 * uniform[1]
        assert sum(layer.cycles for layer in layers[:2]) == pytest.approx(parts, rel=0.03)


@pytest.mark.full
def test_it_is_trained_saved_and_planned(tmp_path: Path) -> None:
    split = nn.in_two_runs(dense(), {"body.0": 0.5}, "ternary")
    widths = {"body.0.narrow": "ternary"}
    made = edgeq.quantize(split, weights="int8", keep=widths, progress=False)
    y = np.arange(64) % 10
    nn.fit(made, (made.calibration, y), epochs=1, progress=False)
    made.calibrate()
    edgeq.save(made, tmp_path / "two.pt")
    np.testing.assert_array_equal(answers(edgeq.load(tmp_path / "two.pt")), answers(made))
    edgeq.save(split, tmp_path / "float.pt")
    text = 'format = "edgeq plan"\nversion = 1\nmodel = "dense"\n[widths]\n'
    text += "".join(f'"{n}" = "{widths.get(n, "int8")}"\n' for n in split.body.layers)
    (tmp_path / "plan.toml").write_text(text)
    out = edgeq.export(
        tmp_path / "float.pt", "cortex-m4", tmp_path / "o", plan=tmp_path / "plan.toml"
    )
    assert [layer["weight_format"] for layer in out["layers"]] == ["s8", "t2", "s8"]


def residual() -> nn.Model:
    inner = nn.Sequential(nn.Linear(16, 16, "ptq"))
    body = nn.Sequential(nn.Linear(16, 16, "ptq"), nn.Residual(inner), nn.Linear(16, 3, "ptq"))
    x = np.random.default_rng(0).normal(size=(9, 16)).astype(np.float32)
    return nn.Model(body, (16,), calibration=x).eval()


@pytest.mark.parametrize(
    ("make", "shares", "kind", "said"),
    [
        (dense, {}, BadInput, "name a layer and the share"),
        (dense, {"body.9": 0.5}, BadInput, "no layer 'body.9' with weights; there are body.0"),
        (dense, {"body.0": 0.01}, BadInput, "64 outputs, of which a share of 0.01 is no run"),
        (dense, {"body.0": 1.0}, BadInput, "a share of 1.0 is no run"),
        (dense, {"body.0": float("nan")}, BadInput, "a share of nan is no run"),
        (maps, {"body.4": 0.5}, BadInput, "is a DepthwiseConv2D"),
        (residual, {"body.0": 0.5}, UnsupportedOp, r"is read by body.1 \(Add\)"),
        (residual, {"body.1.body.0": 0.5}, UnsupportedOp, r"is read by body.1 \(Add\)"),
    ],
)
def test_what_cannot_be_is_said(make: Any, shares: Any, kind: Any, said: str) -> None:
    with pytest.raises(kind, match=said):
        nn.in_two_runs(make(), shares)


def test_a_last_layer_quantised_weights_and_no_data_are_refused() -> None:
    wide = nn.Model(nn.Sequential(nn.Linear(8, 16, "ptq")), (8,))
    with pytest.raises(BadInput, match="needs real inputs"):
        nn.in_two_runs(wide, {"body.0": 0.5})
    with pytest.raises(UnsupportedOp, match="reaches the answer"):
        nn.in_two_runs(wide, {"body.0": 0.5}, x=np.eye(8, dtype=np.float32))
    done = edgeq.quantize(dense(), weights="int8", progress=False)
    with pytest.raises(BadInput, match=r"weights of body.0 are int8 already"):
        nn.in_two_runs(done, {"body.0": 0.5})

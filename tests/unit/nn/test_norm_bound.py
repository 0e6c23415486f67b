"""Norms that are kept in training (A2Q): nearest codes, the file, exports that split no row."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import edgeq
from edgeq import nn
from edgeq.errors import BadInput
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph
from edgeq.nn.norm_bound import within_norm
from edgeq.passes import quantize
from edgeq.passes.select_kernels import fallbacks, splits

DSP = frozenset({"dsp"})
WIDE = {"ternary": (256, 63), "int4": (2048, 4095)}


@given(
    kind=st.sampled_from(["ternary", "int3", "int4", "int8", "int16"]),
    quantizer=st.sampled_from(["straight_through", "paretoq"]),
    per_tensor=st.booleans(),
    width=st.integers(1, 90),
    most=st.integers(1, 400),
    seed=st.integers(0, 300),
    equal=st.booleans(),
)
def test_no_row_goes_beyond_its_norm(
    kind: str, quantizer: str, per_tensor: bool, width: int, most: int, seed: int, equal: bool
) -> None:
    torch.manual_seed(seed)
    own = {"per_tensor": per_tensor}
    if kind != "int16":
        own["quantizer"] = quantizer
    free, kept = nn.Linear(width, 5, kind, **own), nn.Linear(width, 5, kind, **own, max_norm=most)
    if equal:
        free.weight.data.fill_(0.3)
    kept.load_state_dict(free.state_dict())
    (codes, _), (bounded, scale) = free.quantized(), kept.quantized()
    norms = bounded.abs().int().sum(1)
    assert int(norms.max()) <= most
    inside = codes.abs().int().sum(1) <= most
    assert torch.equal(bounded[inside], codes[inside]), "a row within the bound stays"
    assert bool((bounded.abs() <= codes.abs()).all())
    assert bool(scale.isfinite().all() & (scale > 0).all())
    if equal and not bool(inside.any()):
        assert bool((norms == most).all()), "ties use all the room there is"


@given(width=st.integers(1, 5), most=st.integers(1, 8), seed=st.integers(0, 200))
def test_codes_are_the_nearest_within_the_norm(width: int, most: int, seed: int) -> None:
    """Against all of them, three levels a side."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(1, width, generator=generator) * 2
    codes = rows.round().clamp(-3, 3)
    kept = within_norm(codes, rows, torch.ones(1), most)
    every = torch.tensor(list(product(range(-3, 4), repeat=width))).float()
    allowed = every[every.abs().sum(1) <= most]
    best = (allowed - rows).square().sum(1).min()
    assert float((kept - rows).square().sum()) == pytest.approx(float(best), abs=1e-4)


def _model(kind: str, quantizer: str = "straight_through") -> nn.Model:
    width, _ = WIDE[kind]
    torch.manual_seed(2)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    x = rng.normal(size=(120, width)) + 1.5 * np.eye(3, width)[y]
    x = x.astype(np.float32)
    body = nn.Sequential(
        nn.Linear(width, 12, kind, quantizer=quantizer), nn.ReLU(), nn.Linear(12, 3, 8)
    )
    return nn.Model(body, (width,), name="wide", calibration=x, evaluation=(x, y))


def _lowered(model: nn.Model) -> Graph:
    return quantize(graph_of(model), model.calibration, "minmax", DSP).graph


@pytest.mark.parametrize("quantizer", ["straight_through", "paretoq"])
@pytest.mark.parametrize("kind", WIDE)
def test_a_trained_net_splits_no_row_where_a_free_one_does(kind: str, quantizer: str) -> None:
    free = _model(kind, quantizer)
    bound = nn.with_norm_bounds(free)
    for model in (free, bound):
        x, y = model.evaluation
        nn.fit(model, (x, y), epochs=2, progress=False)
        model.calibrate()
    (split,) = splits(_lowered(free))
    assert (split.layer, split.most) == ("body.0", WIDE[kind][1])
    assert 0 < split.rows <= 12
    graph = _lowered(bound)
    assert list(splits(graph)) == []
    assert fallbacks(graph, DSP) == ()
    token = {"ternary": "t2", "int4": "s4"}[kind]
    assert graph.nodes[0].kernel == f"edgeq_fully_connected_s8_{token}_whole_dsp"


def test_the_export_of_a_bound_net_is_proven_and_its_file_keeps_the_bound(tmp_path: Path) -> None:
    model = nn.with_norm_bounds(_model("ternary", "paretoq"))
    x, y = model.evaluation
    nn.fit(model, (x, y), epochs=2, progress=False)
    model.calibrate()
    nn.save(model, tmp_path / "m.pt")
    again = nn.load(tmp_path / "m.pt")
    assert again.body[0].max_norm == 63
    assert torch.equal(again.body[0].log_step, model.body[0].log_step)
    report = edgeq.export(again, "cortex-m4", str(tmp_path / "out"))
    assert all(c["passed"] for c in report["checks"])
    assert report["layers"][0]["kernel"] == "edgeq_fully_connected_s8_t2_whole_dsp"


def test_the_step_is_refitted_to_the_codes_that_are_left() -> None:
    layer = nn.Linear(40, 3, "int4", max_norm=20)
    codes, scale = layer.quantized()
    rows = layer.weight.detach()
    again = (rows * codes).sum(1) / codes.float().square().sum(1)
    torch.testing.assert_close(scale, again)


@pytest.mark.parametrize("kind", ["int1", "int2", "ptq"])
def test_kinds_that_cannot_keep_a_norm_are_refused(kind: str) -> None:
    with pytest.raises(BadInput, match=f"{kind} weights .*max_norm is for ternary and int3"):
        nn.Linear(4, 2, kind, max_norm=3)


@pytest.mark.parametrize("most", [0, -1, 1.5, True])
def test_a_norm_that_is_none_is_refused(most: object) -> None:
    with pytest.raises(BadInput, match="whole number of 1 or more"):
        nn.Linear(4, 2, 4, max_norm=most)


def test_a_model_without_long_rows_has_nothing_to_bound() -> None:
    small = nn.Model(nn.Sequential(nn.Linear(64, 4, "ternary"), nn.Linear(4, 2, 8)), (64,))
    with pytest.raises(BadInput, match="ternary ones are from 65 inputs on, int4 ones from 513"):
        nn.with_norm_bounds(small)

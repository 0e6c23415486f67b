"""Block scales: nearer to the weights than a scale a row, the file, exports on every kernel."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import edgeq
from edgeq import nn
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.frontend.torch_loader import graph_of


@given(
    kind=st.sampled_from(["ternary", "int4"]),
    block=st.sampled_from([32, 64, 128]),
    out=st.integers(1, 5),
    inputs=st.integers(1, 300),
    seed=st.integers(0, 300),
    dead=st.booleans(),
)
def test_codes_times_block_scales_are_what_counts(
    kind: str, block: int, out: int, inputs: int, seed: int, dead: bool
) -> None:
    torch.manual_seed(seed)
    layer = nn.Linear(inputs, out, kind, block=block)
    if dead:
        layer.weight.data[:, :block] = 0
    codes, scales, _ = layer.blocks()
    counted, step = layer.quantized()
    assert scales.shape == (out, -(-inputs // block))
    assert int(scales.min()) >= 1
    assert int(scales.max()) <= 255
    assert int(codes.abs().max()) <= (1 if kind == "ternary" else 7)
    spread = scales.repeat_interleave(block, 1)[:, :inputs]
    assert torch.equal(counted, codes * spread)
    assert bool((step > 0).all() & step.isfinite().all())
    assert bool((codes[:, :block] == 0).all()) or not dead


def test_rows_of_uneven_blocks_lose_less() -> None:
    torch.manual_seed(0)
    rows = torch.randn(16, 512) * torch.tensor([0.1, 1.0, 0.3, 3.0]).repeat_interleave(128)
    errors = []
    for block in (None, 128, 64, 32):
        layer = nn.Linear(512, 16, "int4", block=block)
        layer.weight.data.copy_(rows)
        codes, step = layer.quantized()
        errors.append(float((codes * step[:, None] - rows).square().mean()))
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] <= 1.05 * errors[1]
    assert errors[3] <= 1.05 * errors[2]


def _model() -> nn.Model:
    torch.manual_seed(1)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    x = rng.normal(size=(120, 70, 3, 2)) + 2.0 * np.eye(3, 70)[y][:, :, None, None]
    body = nn.Sequential(
        *(nn.Conv2d(70, 40, 1, "int4", block=32), nn.BatchNorm2d(40), nn.ReLU()),
        *(nn.Conv2d(40, 70, 1, "ternary", block=32), nn.ReLU(), nn.GlobalAvgPool()),
        *(nn.Linear(70, 140, "ternary", block=64), nn.ReLU()),
        *(nn.Linear(140, 3, "int4", block=128),),
    )
    x = x.astype(np.float32)
    model = nn.Model(body, (70, 3, 2), name="blocks", evaluation=(x[:40], y[:40]))
    nn.fit(model, (x, y), epochs=3, progress=False)
    model.calibrate(x)
    return model


@pytest.fixture(scope="module")
def trained() -> nn.Model:
    return _model()


@pytest.mark.parametrize(
    ("target", "forms"),
    [
        # 70 inputs are no whole fours for the kernel that takes two cells at a time
        ("cortex-m4", ("s4_dsp", "t2_cells_dsp", "t2_dsp", "s4_dsp")),
        ("cortex-m0plus", ("s4", "t2", "t2", "s4")),
    ],
)
def test_the_export_is_proven(
    trained: nn.Model, target: str, forms: tuple[str, ...], tmp_path: Path
) -> None:
    report = edgeq.export(trained, target, str(tmp_path / "out"))
    assert [c["passed"] for c in report["checks"]] == [True] * len(report["checks"])
    assert {"model", "firmware", "onnx"} <= {c["name"] for c in report["checks"]}
    kernels = [x["kernel"] for x in report["layers"] if x["op"] == "block_fully_connected"]
    assert kernels == [f"edgeq_block_fully_connected_s8_{form}" for form in forms]
    assert any("TFLite has no block scales" in note for note in report["notes"])


def test_the_graph_holds_the_trained_codes(trained: nn.Model) -> None:
    graph = graph_of(trained)
    own = [m for m in trained.modules() if isinstance(m, nn.QuantLayer)]
    nodes = [n for n in graph.nodes if n.op == "BlockFullyConnected"]
    assert [n.attrs.block for n in nodes] == [32, 32, 64, 128]
    for layer, node in zip(own, nodes, strict=True):
        codes, scales, _ = (part.numpy() for part in layer.blocks())
        np.testing.assert_array_equal(graph.param(node, "weight"), codes)
        np.testing.assert_array_equal(graph.param(node, "block_scale"), scales)


def test_the_file_keeps_the_blocks(trained: nn.Model, tmp_path: Path) -> None:
    nn.save(trained, tmp_path / "m.pt")
    again = nn.load(tmp_path / "m.pt")
    assert [m.block for m in again.modules() if isinstance(m, nn.QuantLayer)] == [32, 32, 64, 128]
    config = nn.config_of(nn.Sequential(nn.Linear(4, 2, 4)))
    del config["layers"][0]["block"]
    assert nn.build(config)[0].block is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": 4, "block": 48}, "block is 48; give one of 32, 64, 128"),
        ({"kind": 8, "block": 64}, "int8 weights have no block scales; ternary and int4 have"),
        ({"kind": 4, "block": 64, "per_tensor": True}, "goes with none of per_tensor"),
        ({"kind": 4, "block": 64, "quantizer": "paretoq"}, "goes with none of per_tensor"),
        ({"kind": 4, "block": 64, "max_norm": 9}, "goes with none of per_tensor"),
    ],
)
def test_what_there_is_no_kernel_for_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        nn.Linear(128, 4, **given)


def test_windows_strides_and_flattened_maps_are_refused() -> None:
    with pytest.raises(BadInput, match="for Linear and 1x1 convolutions"):
        nn.Conv2d(64, 4, 3, 4, block=64)
    with pytest.raises(BadInput, match="stride 1, padding 0 and groups 1"):
        nn.Conv2d(64, 4, 1, 4, stride=2, block=64)
    layers = nn.Conv2d(1, 4, 3, 8), nn.Flatten(), nn.Linear(4 * 36, 3, 4, block=32)
    with pytest.raises(UnsupportedOp, match="block scales behind a flattened map"):
        nn.Model(nn.Sequential(*layers), (1, 8, 8))

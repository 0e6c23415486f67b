"""PyTorch modules through torch.export: the graph answers as the module, the C as the reference."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import nn as tn

import edgeq
from edgeq.compiled import compile_graph
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.frontend.placed import MAP, Placed, Placing, permuted
from edgeq.frontend.torch_ends import compare, examples_of
from edgeq.frontend.torch_loader import graph_of
from edgeq.passes import quantize
from edgeq.prove.firmware import check_with
from edgeq.prove.host import host_runner
from edgeq.reference import quantize_rows

torch.set_num_threads(1)
EXAMPLES = int(os.environ.get("EDGEQ_EXAMPLES", "4"))


class Block(tn.Module):
    """What most vision networks are made of; `act` is a module, `pool` and `groups` vary."""

    def __init__(self, channels: int, act: tn.Module, groups: int, stride: int, ceil: bool) -> None:
        super().__init__()
        wide = 2 * channels
        self.stem = tn.Conv2d(3, wide, 3, stride, 1, bias=False)
        self.norm = tn.BatchNorm2d(wide)
        self.act = act
        self.deep = tn.Conv2d(wide, wide, 3, padding="same", groups=wide if groups > 2 else groups)
        self.line = tn.Conv2d(wide, wide, 1)
        self.pool = tn.MaxPool2d(3, 2, 1, ceil_mode=ceil)
        self.late = tn.BatchNorm2d(wide)
        self.drop = tn.Dropout(0.4)
        self.head = tn.Linear(wide, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.norm(self.stem(x)))
        x = self.pool(x + self.line(F.relu6(self.deep(x))))
        return self.head(self.drop(self.late(x).mean((2, 3))))


class Flat(tn.Module):
    """A flattened map: the weights behind it take the device's order."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.conv = tn.Conv2d(1, channels, 3, 1, 1)
        self.norm = tn.BatchNorm1d(channels * side * side)
        self.fc = tn.Linear(channels * side * side, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(torch.flatten(F.avg_pool2d(self.conv(x), 2), 1))
        return self.fc(self.norm(x) * 0.5 + 1)


class Line(tn.Module):
    """A one-dimensional net with dilation, and axes swapped on the way."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a = tn.Conv1d(3, channels, 5, stride=2, padding=2)
        self.b = tn.Conv1d(channels, channels, 3, padding=2, dilation=2, groups=channels)
        self.row = tn.Linear(channels, channels)
        self.fc = tn.Linear(channels, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.silu(self.a(x))
        x = x + F.gelu(self.b(x))
        x = self.row(x.transpose(1, 2)).transpose(1, 2)
        return F.softmax(self.fc(F.adaptive_avg_pool1d(F.avg_pool1d(x, 2), 1).squeeze(-1)), -1)


def _settled(module: tn.Module) -> tn.Module:
    """Statistics as training leaves them, so that a forgotten norm is seen."""
    for m in module.modules():
        if isinstance(m, tn.BatchNorm1d | tn.BatchNorm2d):
            assert m.running_mean is not None
            assert m.running_var is not None
            m.running_mean.uniform_(-0.5, 0.5)
            m.running_var.uniform_(0.5, 2)
    return module.eval()


@st.composite
def modules(draw: Any) -> tuple[tn.Module, tuple[int, ...]]:
    torch.manual_seed(draw(st.integers(0, 999)))
    channels, kind = draw(st.integers(1, 4)), draw(st.sampled_from(["block", "flat", "line"]))
    if kind == "flat":
        return _settled(Flat(channels, 3)), (1, 6, 7)
    if kind == "line":
        return _settled(Line(channels)), (3, draw(st.integers(9, 16)))
    acts = [tn.ReLU(inplace=True), tn.Hardswish(), tn.LeakyReLU(0.1), tn.ELU(), tn.Sigmoid()]
    act = draw(st.sampled_from(acts))
    block = Block(
        channels, act, draw(st.integers(1, 3)), draw(st.integers(1, 2)), draw(st.booleans())
    )
    return _settled(block), (3, draw(st.integers(7, 10)), draw(st.integers(7, 10)))


@given(made=modules())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
def test_a_module_its_graph_and_its_firmware_agree(made: Any, tmp_path_factory: Any) -> None:
    module, shape = made
    rows = torch.randn(32, *shape)
    model = edgeq.from_torch(module, rows[:2], calibration=rows)
    with torch.no_grad():
        torch.testing.assert_close(model(rows), module(rows), rtol=1e-4, atol=1e-4)
    graph = graph_of(model)
    assert not {n.op for n in graph.nodes} & {"Transpose", "BatchNorm"}
    x = rows.numpy()
    x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x.transpose(0, 2, 1)[:, None]
    lowered = quantize(graph, np.ascontiguousarray(x), "mse").graph
    compiled = compile_graph(lowered, "m", "0" * 64)
    runner = host_runner(lowered, compiled.project, tmp_path_factory.mktemp("host"))
    check = check_with(lowered, quantize_rows(lowered, x)[:8], runner, "host")
    assert check.passed, check.said
    assert check.samples


def test_flat_side_is_what_the_module_was_made_for() -> None:
    with pytest.raises(UnsupportedOp, match="cannot trace Flat"):
        edgeq.from_torch(Flat(2, 3), torch.zeros(1, 1, 9, 9))


class Strange(tn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = tn.Conv2d(1, 2, 3)
        self.rnn = tn.GRU(4, 3, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cumsum(self.conv(x), 2)
        return torch.sort(x.flatten(1), 1)[0]


def test_every_offender_is_named_before_anything_is_made() -> None:
    with pytest.raises(UnsupportedOp) as caught:
        edgeq.from_torch(Strange(), torch.zeros(1, 1, 6, 6))
    said = str(caught.value)
    assert caught.value.exit_code == 3
    assert "Strange: 2 nodes are not taken: cumsum (cumsum: " in said
    assert "sort (sort: it is not supported)" in said


class Transposed(tn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(x, 2) + F.max_pool2d(x.transpose(2, 3), 2)


class Two(tn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


class ByValue(tn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x) if x.sum() > 0 else F.relu6(x)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (tn.Identity(), "computes nothing"),
        (ByValue(), "cannot trace ByValue"),
    ],
)
def test_what_is_no_single_graph_is_refused(module: tn.Module, said: str) -> None:
    with pytest.raises(UnsupportedOp, match=said):
        edgeq.from_torch(module, torch.ones(1, 3))


def test_a_map_is_copied_only_where_nothing_else_does() -> None:
    x = torch.randn(3, 4, 4, 4)
    model = edgeq.from_torch(Transposed(), x)
    ops = [step.op for step in model.body.plan.steps]
    assert sorted(ops) == ["Add", "MaxPool2D", "MaxPool2D", "Transpose"]
    assert torch.equal(model(x), Transposed()(x))


class Parts(tn.Module):
    """Joined, cut, padded, resized, gated, and channels shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.a = tn.Conv2d(4, 4, 3, padding=1)
        self.gate = tn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = x.chunk(2, dim=1)
        y = torch.cat([right, self.a(F.pad(x, (1, 0, 2, 1)))[:, 1:3, 3:, 1:], left], 1)
        y = y.view(-1, 2, 3, *y.shape[2:]).transpose(1, 2).flatten(1, 2)
        y = F.interpolate(y, scale_factor=2, mode="nearest")[:, :4]
        gated = y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))
        return torch.maximum(gated, y - 0.5) - torch.minimum(y, gated)


def test_parts_are_joined_cut_and_gated() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 5)
    module = Parts()
    model = edgeq.from_torch(module, x)
    with torch.no_grad():
        torch.testing.assert_close(model(x), module(x), rtol=1e-4, atol=1e-5)
    ops = [step.op for step in model.body.plan.steps]
    assert ops.count("Transpose") == 1  # the shuffle
    assert {"Concat", "Slice", "Pad", "ResizeNearest", "Mul", "Sigmoid", "Maximum"} <= set(ops)


def test_what_is_no_module_is_told_the_three_lines() -> None:
    module = tn.Linear(3, 2)
    for given_ in (module.state_dict(), "weights.pt", torch.jit.trace(module, torch.ones(1, 3))):
        with pytest.raises(BadInput) as caught:
            edgeq.from_torch(given_, torch.ones(1, 3))  # type: ignore[arg-type]
        assert "load_state_dict(torch.load('weights.pt', weights_only=True))" in str(caught.value)
        assert str(caught.value).count("\n") == 3
    with pytest.raises(BadInput, match="needs an example"):
        edgeq.from_torch(module, torch.ones(3))


def test_normalisation_is_a_layer_of_the_model(tmp_path: Path) -> None:
    module = _settled(Block(2, tn.ReLU(), 1, 1, False))
    mean, std = [120.0, 110.0, 100.0], [50.0, 60.0, 70.0]
    raw = torch.randint(0, 256, (64, 3, 8, 8)).float()
    model = edgeq.from_torch(module, raw[:1], mean=mean, std=std, calibration=raw, name="camera")
    normal = (raw - torch.tensor(mean).reshape(3, 1, 1)) / torch.tensor(std).reshape(3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(model(raw), module(normal), rtol=1e-4, atol=1e-4)
    report = edgeq.export(model, "cortex-m4", tmp_path / "e")
    assert report["model"] == "camera"
    header = (tmp_path / "e" / "firmware" / "model" / "camera.h").read_text()
    assert "raw: (x - mean) / std is layer normalise" in header
    assert json.dumps(report["input_layout"]) == '"channels first"'
    for bad in ({"std": 0.0}, {"mean": [1.0, 2.0]}, {"std": float("nan")}):
        with pytest.raises(BadInput, match=r"std|mean"):
            edgeq.from_torch(module, raw[:1], **bad)  # type: ignore[arg-type]


def test_modes_are_as_they_were() -> None:
    module = tn.Sequential(tn.Linear(3, 4), tn.Dropout(), tn.Linear(4, 2))
    module.train()
    module[1].eval()
    edgeq.from_torch(module, torch.ones(1, 3))
    assert [m.training for m in module] == [True, False, True]


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 3),
    groups=st.integers(1, 4),
    swap=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_views_keep_or_copy(shape: tuple[int, ...], groups: int, swap: bool) -> None:
    """A view in memory gives what PyTorch's gives, read back through its axes."""
    channels, height, width = shape[0] * groups, *shape[1:]
    b = Placing()
    x = b.enter("x", (channels, height, width), MAP)
    values = torch.arange(channels * height * width).reshape(channels, height, width)
    y, wanted = b.reshaped(x, (groups, shape[0], height, width), "v"), values.reshape(
        groups, shape[0], height, width
    )  # fmt: skip
    assert torch.equal(_read(y, values), wanted)
    if not swap:
        return
    y, wanted = permuted(y, (1, 0, 2, 3)), wanted.transpose(0, 1)
    assert torch.equal(_read(y, values), wanted)
    z = b.reshaped(y, (channels, height, width), "w")
    if any(node.op == "Transpose" for node in b.nodes):
        assert min(groups, shape[0]) > 1  # a shuffle of channels is no view
    else:
        assert torch.equal(_read(z, values), wanted.reshape(channels, height, width))


def _read(x: Placed, values: torch.Tensor) -> torch.Tensor:
    """The logical tensor: memory holds `values` channels last."""
    memory = values.permute(1, 2, 0).reshape(-1).reshape(x.memory)
    kept = [i for i, a in enumerate(x.axes) if a >= 0]
    held = memory.reshape([x.memory[i] for i in kept])
    axes = [x.axes[i] for i in kept]
    return held.permute([axes.index(a) for a in range(x.rank)])


class Grouped(tn.Module):
    """Convolutions in groups: of several channels with a norm, and one channel to three."""

    def __init__(self) -> None:
        super().__init__()
        self.apart = tn.Conv2d(8, 12, 3, padding=1, groups=4, bias=False)
        self.norm = tn.BatchNorm2d(12)
        self.wide = tn.Conv2d(12, 36, 3, 2, padding=(1, 0), dilation=(1, 2), groups=12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.wide(torch.relu(self.norm(self.apart(x))))


def test_groups_have_no_weights_that_are_zero() -> None:
    """Groups and dilation stay what they are; the norm behind is folded into them."""
    torch.manual_seed(0)
    module = Grouped()
    module.norm.running_mean += torch.randn(12)
    module.norm.weight.data.uniform_(0.5, 2)
    model = edgeq.from_torch(module, torch.randn(1, 8, 9, 7))
    layers = model.body.layers
    ops = [layer.step.op for layer in layers.values()]
    assert ops == ["Conv2D", "DepthwiseConv2D"]
    assert [m.weight.numel() for m in layers.values()] == [12 * 2 * 9, 36 * 3 * 3]
    quantized = edgeq.quantize(
        model, np.random.default_rng(0).normal(size=(8, 8, 9, 7)).astype(np.float32)
    )
    x = torch.randn(4, 8, 9, 7)
    with torch.no_grad():
        wanted, got = module.eval()(x), quantized(x)
    assert float((wanted - got).square().sum() / wanted.square().sum()) < 1e-3


def test_any_number_of_groups_is_taken() -> None:
    module = tn.Sequential(tn.Conv2d(130, 130, 1, groups=65), tn.ReLU())
    model, x = edgeq.from_torch(module, torch.zeros(1, 130, 2, 2)), torch.randn(3, 130, 2, 2)
    with torch.no_grad():
        torch.testing.assert_close(model(x), module(x), rtol=1e-4, atol=1e-5)


class Rows(tn.Module):
    """Norms of rows of features, and means over the rows, whichever way they lie."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.across = tn.LayerNorm(6), tn.Linear(5, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x).transpose(1, 2)
        return (x + self.across(x)).transpose(1, 2).mean(1)


def test_norms_of_rows_and_means_over_them() -> None:
    """Held to the module by from_torch itself, within 0.1 %."""
    torch.manual_seed(0)
    module = Rows()
    module.norm.weight.data.uniform_(0.5, 2)
    model = edgeq.from_torch(module, torch.randn(2, 5, 6))
    assert model(torch.zeros(1, 5, 6)).shape == (1, 6)
    with pytest.raises(UnsupportedOp, match="not the last one alone"):
        edgeq.from_torch(tn.Sequential(tn.LayerNorm((5, 6))), torch.zeros(1, 5, 6))


class Steep(tn.Module):
    """Float32's rounding of its input, enlarged; `off` is another network's answer."""

    def __init__(self, off: float = 0.0) -> None:
        super().__init__()
        self.off = off

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 3e6 * (x - 0.5) + self.off


def test_a_module_that_enlarges_rounding_may_be_as_far_off() -> None:
    x = torch.full((2, 3), 0.5000001)
    given = examples_of(x)
    compare(Steep(0.2), Steep(), given, {"input": x})
    with pytest.raises(UnsupportedOp, match="answers otherwise than the module, by 9"):
        compare(Steep(9.0), Steep(), given, {"input": x})
    y = torch.full((2, 3), 0.75)
    with pytest.raises(UnsupportedOp, match="answers otherwise"):
        compare(Steep(2e4), Steep(), examples_of(y), {"input": y})

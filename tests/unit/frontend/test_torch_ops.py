"""PyTorch's operators one by one: the graph answers as the module, the C as the reference."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn as tn

import edgeq
from edgeq.compiled import compile_graph
from edgeq.errors import UnsupportedOp
from edgeq.frontend.torch_loader import graph_of
from edgeq.passes import quantize
from edgeq.prove.firmware import check_with
from edgeq.prove.host import host_runner
from edgeq.reference import quantize_rows

torch.set_num_threads(1)
MAP, LINE, ROWS, FLAT = (4, 6, 5), (4, 9), (5, 8), (7,)
Shape = tuple[int, ...]


class Of(tn.Module):
    """A function as a module, behind a module that it may read maps of."""

    def __init__(self, function: Any, *before: tn.Module) -> None:
        super().__init__()
        self.before, self.function = tn.Sequential(*before), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.before(x))


def shaken(module: tn.Module) -> tn.Module:
    """Parameters off their starting points, so that a forgotten one is seen."""
    torch.manual_seed(3)
    for value in module.parameters():
        value.data.uniform_(-1, 1)
    for name, value in module.named_buffers():
        if name.endswith(("mean", "var")):
            value.uniform_(0.5, 2)
    return module.eval()


def taken(module: tn.Module, shape: Shape, **options: Any) -> list[str]:
    """The ops it became; what they answer is the module's within 0.1 %."""
    module = shaken(module)
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(5))
    model = edgeq.from_torch(module, x, **options)
    with torch.no_grad():
        wanted = torch.cat([module(row[None]) for row in x]).float()
        off = (model(x) - wanted).abs().max()
    places = [step.op for step in model.body.plan.steps].count("ResizeLinear")
    assert off <= (1e-3 + 2e-3 * places) * max(wanted.abs().max(), 1e-3)
    return [step.op for step in model.body.plan.steps]


NORMS: dict[str, tuple[Shape, tn.Module, str]] = {
    "prelu a channel": (MAP, tn.PReLU(4), "PRelu"),
    "prelu of one slope": (MAP, tn.PReLU(), "PRelu"),
    "prelu of features": (FLAT, tn.PReLU(7), "PRelu"),
    "prelu of a flattened map": (
        MAP,
        tn.Sequential(tn.MaxPool2d(2), tn.Flatten(), tn.PReLU(24), tn.Linear(24, 3)),
        "PRelu",
    ),
    "prelu of rows": (ROWS, tn.Sequential(tn.Linear(8, 8), tn.PReLU(5)), "PRelu"),
    "log softmax": (FLAT, tn.LogSoftmax(-1), "LogSoftmax"),
    "log softmax of a map's channels": (MAP, tn.LogSoftmax(1), "LogSoftmax"),
    "log softmax of a map's rows": (MAP, tn.LogSoftmax(-1), "LogSoftmax"),
    "softmax of a map's height": (MAP, tn.Softmax(2), "Softmax"),
    "group norm": (MAP, tn.GroupNorm(2, 4), "GroupNorm"),
    "group norm of a line": (LINE, tn.GroupNorm(2, 4, affine=False), "GroupNorm"),
    "instance norm": (MAP, tn.InstanceNorm2d(4, affine=True), "GroupNorm"),
    "instance norm of a line": (LINE, tn.InstanceNorm1d(4), "GroupNorm"),
    "rms norm": (ROWS, tn.RMSNorm(8), "GroupNorm"),
    "rms norm of features": (FLAT, tn.RMSNorm(7, eps=1e-3), "GroupNorm"),
    "argmax of channels": (MAP, Of(lambda x: x.argmax(1, True)), "ArgMax"),
    "argmax of a row": (MAP, Of(lambda x: x.mean(2).argmax(2)), "ArgMax"),
    "argmax that keeps its axis": (FLAT, Of(lambda x: x.argmax(1, keepdim=True)), "ArgMax"),
}


@pytest.mark.parametrize("case", NORMS)
def test_norms_and_what_works_along_an_axis(case: str) -> None:
    shape, module, op = NORMS[case]
    assert op in taken(module, shape)


def test_an_instance_norm_with_statistics_is_a_batch_norm() -> None:
    ops = taken(tn.InstanceNorm2d(4, affine=True, track_running_stats=True), MAP)
    assert ops == ["DepthwiseConv2D"]


TRANSPOSED: dict[str, tuple[Shape, tn.Module]] = {
    "plain": (MAP, tn.ConvTranspose2d(4, 3, 2, 2)),
    "cut, and longer": (MAP, tn.ConvTranspose2d(4, 6, 3, (2, 3), 1, (1, 2), groups=2)),
    "dilated": (MAP, tn.ConvTranspose2d(4, 5, (3, 2), 1, (1, 0), dilation=2, bias=False)),
    "of a group a channel": (MAP, tn.ConvTranspose2d(4, 8, 4, 2, 1, groups=4)),
    "more cut than there is": (MAP, tn.ConvTranspose2d(4, 3, 2, 1, 2)),
    "a line": (LINE, tn.ConvTranspose1d(4, 6, 3, 2, 1, output_padding=1)),
    "before a norm": (MAP, tn.Sequential(tn.ConvTranspose2d(4, 6, 3, 2), tn.BatchNorm2d(6))),
}


@pytest.mark.parametrize("case", TRANSPOSED)
def test_transposed_convolutions(case: str) -> None:
    shape, module = TRANSPOSED[case]
    made = set(taken(module, shape))
    depthwise = case == "of a group a channel"
    assert ("DepthwiseConv2D" if depthwise else "Conv2D") in made
    assert "BatchNorm" not in made


PLACES: dict[str, tuple[Shape, tn.Module, str]] = {
    "places of channels": (
        MAP,
        Of(lambda x: torch.index_select(x, 1, torch.tensor([3, 0, 0]))),
        "Gather",
    ),
    "places from the end": (MAP, Of(lambda x: x[:, :, [2, -1, 0]]), "Gather"),
    "every second place": (MAP, Of(lambda x: x[:, :, torch.tensor([0, 2, 4])]), "Slice"),
    "places of two axes": (
        FLAT,
        Of(lambda x: x[:, torch.tensor([[0, 2, 1], [5, 5, 6]])].flatten(1)),
        "Gather",
    ),
    "repeated": (MAP, Of(lambda x: x.repeat(1, 2, 1, 3)), "Gather"),
    "tiled": (MAP, Of(lambda x: torch.tile(x, (2, 1))), "Gather"),
    "padding that reflects": (MAP, tn.ReflectionPad2d((1, 2, 0, 3)), "Gather"),
    "padding that repeats the edge": (LINE, tn.ReplicationPad1d((2, 1)), "Gather"),
    "padding that goes around": (MAP, tn.CircularPad2d(1), "Gather"),
    "pixel shuffle": (MAP, tn.PixelShuffle(2), "DepthToSpace"),
    "pixel unshuffle": ((2, 6, 4), tn.PixelUnshuffle(2), "Transpose"),
    "between cells": (MAP, tn.Upsample(scale_factor=2, mode="bilinear"), "ResizeLinear"),
    "between cells to a size": (
        MAP,
        tn.Upsample(size=(9, 13), mode="bilinear"),
        "ResizeLinear",
    ),
    "between cells by a fraction": (
        MAP,
        Of(lambda x: F.interpolate(x, scale_factor=1.3, mode="bilinear")),
        "ResizeLinear",
    ),
    "between corners": (
        MAP,
        tn.Upsample(size=(11, 9), mode="bilinear", align_corners=True),
        "ResizeLinear",
    ),
    "between cells of a line": (LINE, tn.Upsample(scale_factor=4, mode="linear"), "ResizeLinear"),
}


@pytest.mark.parametrize("case", PLACES)
def test_cells_by_places(case: str) -> None:
    shape, module, op = PLACES[case]
    assert op in taken(module, shape)


class Attending(tn.Module):
    """Queries of its own, keys and values of the rows, scaled as attention is."""

    def __init__(self) -> None:
        super().__init__()
        self.query = tn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.query(x) @ x.transpose(-1, -2) / 8**0.5
        return torch.bmm(scores.softmax(-1), x)


class Encoder(tn.Module):
    def __init__(self, layers: int = 1) -> None:
        super().__init__()
        layer = tn.TransformerEncoderLayer(8, 2, 12, activation="gelu", batch_first=True)
        self.layers, self.head = tn.TransformerEncoder(layer, layers), tn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(x).mean(1))


class Heads(tn.Module):
    """torch.nn's attention; `first`: the batch first."""

    def __init__(self, weights: bool = False, first: bool = True) -> None:
        super().__init__()
        self.attention = tn.MultiheadAttention(8, 2, batch_first=first)
        self.weights, self.first = weights, first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.first else x.transpose(0, 1)
        x = self.attention(x, x, x, need_weights=self.weights)[0]
        return x if self.first else x.transpose(0, 1)


PRODUCTS: dict[str, tuple[Shape, tn.Module]] = {
    "rows by themselves": (ROWS, Attending()),
    "a map by itself": (MAP, Of(lambda x: x @ x.transpose(2, 3))),
    "a map by one matrix of rows": (MAP, Of(lambda x: x @ x.mean(1, keepdim=True).mT)),
    "attention": (ROWS, Heads()),
    "attention with its weights": (ROWS, Heads(True)),
    "attention, the batch second": (ROWS, Heads(first=False)),
    "attention of torch's own function": (
        MAP,
        Of(lambda x: F.scaled_dot_product_attention(x, x + 1, x, scale=0.3)),
    ),
    "an encoder": (ROWS, Encoder(2)),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_products_of_two_activations(case: str) -> None:
    shape, module = PRODUCTS[case]
    ops = taken(module, shape)
    assert "BatchMatMul" in ops
    assert "AveragePool2D" not in ops or case not in ("attention", "attention with its weights")


def test_an_encoder_is_the_reference_s_bytes_in_c(tmp_path: Path) -> None:
    ops = as_integers(Encoder(), ROWS, tmp_path)
    assert {"BatchMatMul", "Softmax", "LayerNorm"} <= ops


REFUSED: dict[str, tuple[Shape, tn.Module, str]] = {
    "argmax of everything": (FLAT, Of(lambda x: x.argmax()), "of all rows"),
    "argmax that leaves nothing": (FLAT, Of(lambda x: x.argmax(1)), "keepdim=True"),
    "argmax of too many": ((300,), Of(lambda x: x.argmax(1, keepdim=True)), "at most 256"),
    "rms norm of two axes": (ROWS, tn.RMSNorm((5, 8)), "not the last one alone"),
    "places of the batch": (FLAT, Of(lambda x: x[torch.tensor([0, 0])]), "along the batch"),
    "places of two axes at once": (ROWS, Of(lambda x: x[:, [0, 1], [1, 0]]), "one is taken"),
    "places that are computed": (
        FLAT,
        Of(lambda x: torch.index_select(x, 1, x[0].argsort())),
        "computed",
    ),
    "places that a mask says": (
        FLAT,
        Of(lambda x: x[:, torch.tensor([1, 1, 0, 1, 0, 0, 1]).bool()]),
        "by a mask",
    ),
    "a batch that is repeated": (FLAT, Of(lambda x: x.repeat(2, 1)), "repeats the batch"),
    "padding that cuts and reflects": (LINE, tn.ReflectionPad1d((-1, 2)), "padding mode"),
    "attention with a mask": (
        ROWS,
        Of(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)),
        "with a mask",
    ),
    "a norm of channels behind a moved batch": (
        ROWS,
        Of(lambda x: F.group_norm(x.transpose(0, 1), 1).transpose(0, 1)),
        "behind other axes",
    ),
    "an answer whose batch is moved": (
        ROWS,
        Of(lambda x: x.relu().transpose(0, 1)),
        "does not lead",
    ),
    "softmax of the batch": (FLAT, tn.Softmax(0), "along the batch"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_op_is_refused_in_words(case: str) -> None:
    shape, module, said = REFUSED[case]
    with pytest.raises(UnsupportedOp, match=said):
        edgeq.from_torch(module, torch.zeros(1, *shape))


def as_integers(module: tn.Module, shape: Shape, folder: Path) -> set[str]:
    """The ops of the quantised module, whose C on this computer equals the reference."""
    module = shaken(module)
    rows = torch.randn(16, *shape, generator=torch.Generator().manual_seed(6))
    graph = graph_of(edgeq.from_torch(module, rows[:2], calibration=rows))
    x = rows.numpy()
    if graph.tensors[graph.inputs[0]].shape != shape:
        x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x.transpose(0, 2, 1)[:, None]
    x = np.ascontiguousarray(x)
    lowered = quantize(graph, x, "minmax").graph
    runner = host_runner(lowered, compile_graph(lowered, "m", "0" * 64).project, folder)
    check = check_with(lowered, quantize_rows(lowered, x)[:8], runner, "host")
    assert check.passed, check.said
    assert check.samples
    return {node.op for node in lowered.nodes}


class Placed(tn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.late = tn.Conv2d(4, 8, 3), tn.Conv2d(4, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(F.pad(x, (1, 1, 2, 1), mode="reflect"))
        x = F.pixel_shuffle(x[:, [7, 1, 0, 3, 5, 5, 2, 4]], 2).repeat(1, 2, 1, 1)
        return self.late(F.interpolate(x, scale_factor=2, mode="bilinear"))


def test_places_are_the_reference_s_bytes_in_c(tmp_path: Path) -> None:
    ops = as_integers(Placed(), MAP, tmp_path)
    assert {"Gather", "DepthToSpace", "ResizeLinear"} <= ops


class Normed(tn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.act = tn.Conv2d(4, 6, 3, padding=1), tn.PReLU(6)
        self.groups, self.one = tn.GroupNorm(3, 6), tn.InstanceNorm2d(6)
        self.row, self.norm = tn.Linear(6, 6), tn.RMSNorm(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.one(self.groups(self.act(self.stem(x)))).mean(3).transpose(1, 2)
        return torch.log_softmax(self.norm(self.row(x)).mean(1), -1)


def test_norms_and_prelu_are_the_reference_s_bytes_in_c(tmp_path: Path) -> None:
    ops = as_integers(Normed(), MAP, tmp_path)
    assert {"PRelu", "GroupNorm", "LogSoftmax"} <= ops


def _square(x: torch.Tensor) -> torch.Tensor:
    apart = x - x.sigmoid()
    return apart * apart


TIDIED: dict[str, tuple[Shape, tn.Module, list[str]]] = {
    "a difference times itself": (FLAT, Of(_square), ["Sigmoid", "SquaredDifference"]),
    "a gate": (FLAT, Of(lambda x: x * x.sigmoid()), ["Silu"]),
    "no square where it has another reader": (
        FLAT,
        Of(lambda x: (d := x - x.sigmoid()) * d + d),
        ["Sigmoid", "Sub", "Mul", "Add"],
    ),
}


@pytest.mark.parametrize("case", TIDIED)
def test_a_graph_is_tidied_as_that_of_a_file(case: str) -> None:
    shape, module, ops = TIDIED[case]
    assert taken(module, shape) == ops

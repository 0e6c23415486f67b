"""PyTorch's operators one by one: the graph answers as the module, the C as the reference."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
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
    assert off <= 1e-3 * max(wanted.abs().max(), 1e-3)
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


REFUSED: dict[str, tuple[Shape, tn.Module, str]] = {
    "argmax of everything": (FLAT, Of(lambda x: x.argmax()), "of all rows"),
    "argmax that leaves nothing": (FLAT, Of(lambda x: x.argmax(1)), "keepdim=True"),
    "argmax of too many": ((300,), Of(lambda x: x.argmax(1, keepdim=True)), "at most 256"),
    "rms norm of two axes": (ROWS, tn.RMSNorm((5, 8)), "not the last one alone"),
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

"""Groups and dilation of edgeq.nn: trained, in integers, streamed, made smaller."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.errors import BadInput
from edgeq.frontend.torch_loader import graph_of
from edgeq.nn.config import build
from edgeq.ops.op import quant_of
from edgeq.passes.stream import stream
from edgeq.reference import run
from tests.tflm.cases import from_torch, quantized

FRAMES = 40


def tcn(kind: str = "int8", depthwise: str = "int8") -> nn.Model:
    """Groups, a depth multiplier and dilation, over (channels, frames)."""
    torch.manual_seed(3)
    body = nn.Sequential(
        *(nn.Conv1d(6, 8, 3, kind, groups=2, dilation=2), nn.ReLU()),
        *(nn.Conv1d(8, 16, 3, depthwise, groups=8, dilation=4), nn.ReLU()),
        *(nn.Conv1d(16, 8, 1, kind), nn.GlobalAvgPool(), nn.Linear(8, 3, kind)),
    )
    return nn.Model(body, (6, FRAMES), name="tcn")


def images() -> nn.Model:
    body = nn.Sequential(
        *(nn.Conv2d(4, 8, 3, "int4", padding=(2, 3), groups=2, dilation=(2, 3)), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, 3, 2, 1, groups=8), nn.GlobalAvgPool(), nn.Linear(8, 3)),
    )
    return nn.Model(body, (4, 9, 11), name="images")


@pytest.mark.parametrize("make", [tcn, lambda: tcn("ternary"), images])
def test_training_and_integers_answer_alike(make: Callable[[], nn.Model]) -> None:
    torch.manual_seed(0)
    model = make()
    x = torch.randn(48, *model.input_shape)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    for _ in range(4):
        loss = torch.nn.functional.cross_entropy(model.train()(x), torch.arange(48) % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.calibrate(x)
    graph = quantized(model.eval())
    found = {n.name: n.attrs for n in graph.nodes if n.op in ("Conv2D", "DepthwiseConv2D")}
    assert {getattr(a, "groups", 1) for a in found.values()} >= {2}
    assert {max(a.dilation) for a in found.values()} >= {2 if model.name == "tcn" else 3}
    given = quant_of(graph.tensors[graph.inputs[0]])
    rows = np.moveaxis(x.numpy().reshape(48, x.shape[1], -1, x.shape[-1]), 1, -1)
    codes = np.clip(np.rint(rows / given.per_tensor) + given.zero_point, -128, 127)
    codes = codes.reshape(48, *graph.tensors[graph.inputs[0]].shape).astype(np.int8)
    made = quant_of(graph.tensors[graph.outputs[0]])
    got = (run(graph, codes).output.astype(float) - made.zero_point) * made.per_tensor
    wanted = model(x).detach().numpy()
    assert np.abs(got - wanted).max() <= 4 * made.per_tensor


def test_files_of_before_have_no_dilation() -> None:
    config = nn.config_of(tcn().body)
    assert [c.pop("dilation") for c in config["layers"] if "dilation" in c] == [[2], [4], [1]]
    assert [m.dilation for m in build(config).modules() if isinstance(m, nn.Conv1d)] == [(1,)] * 3


def test_a_stream_of_dilated_windows_is_the_window() -> None:
    graph = from_torch(tcn)
    step = stream(graph, 1)
    assert step.stream is not None
    rows = np.random.default_rng(0).integers(-128, 128, (FRAMES + 6, 1, 1, 6)).astype(np.int8)
    got = run(step, rows).output[step.stream.first :]
    frames = rows.reshape(1, -1, 6)
    ends = range(step.stream.first + 1, len(rows) + 1)
    windows = np.stack([frames[:, end - FRAMES : end] for end in ends])
    np.testing.assert_array_equal(got, run(graph, windows).output)


def test_narrower_models_keep_groups_that_fit() -> None:
    half = nn.narrowed(tcn(), 0.5)
    layers = [m for m in half.body if isinstance(m, nn.Conv1d)]
    shapes = [(m.in_channels, m.out_channels, m.groups) for m in layers]
    assert shapes == [(6, 4, 2), (4, 8, 4), (8, 4, 1)]
    body = nn.Sequential(nn.Conv1d(6, 18, 3), nn.Conv1d(18, 18, 3, groups=9), nn.GlobalAvgPool())
    with pytest.raises(BadInput, match="in 9 groups would take 8 channels and make"):
        nn.narrowed(nn.Model(nn.Sequential(*body, nn.Linear(18, 3)), (6, 20)), 0.5)


def test_inner_layers_in_groups_take_a_kind_and_depthwise_ones_stay() -> None:
    narrow = nn.with_kind(tcn(), "int4")
    kinds = [m.kind for m in narrow.body if hasattr(m, "kind")]
    assert kinds == ["int8", "int8", "int4", "int8"]
    grouped = nn.Sequential(nn.Conv1d(6, 4, 1), nn.Conv1d(4, 6, 3, groups=2), *tcn().body)
    first = nn.with_kind(nn.Model(grouped, (6, FRAMES)), "int4").body[1]
    assert (first.kind, first.groups) == ("int4", 2)


def test_channels_of_groups_are_never_left_out() -> None:
    model = tcn("ptq", "ptq")
    model.calibration = np.random.default_rng(0).normal(size=(32, 6, FRAMES)).astype(np.float32)
    smaller = nn.pruned(model, 0.5)
    graph = graph_of(smaller)
    widths = [len(graph.param(n, "weight")) for n in graph.nodes if n.op == "Conv2D"]
    assert widths == [8, 4]  # the groups', and the 1x1 layer's half

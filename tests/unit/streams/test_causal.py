"""Temporal convolutional networks: padding in front alone, from edgeq.nn, PyTorch and ONNX."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import edgeq
from edgeq import nn
from edgeq.frontend.onnx_loader import load_onnx
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph, Quant
from edgeq.ops.copies import Pad
from edgeq.passes import quantize
from edgeq.passes.stream import padded, stream, timing, unpadded
from edgeq.passes.take_in_padding import take_in_padding
from edgeq.prove.stream import check_stream
from edgeq.reference import random_rows, run
from tests.onnx_files import exported
from tests.tflm.cases import from_torch

CHANNELS, REACH = 4, 2 * (1 + 2)  # frames that two blocks of 3 taps, 1 and 2 apart, read further


class Block(torch.nn.Module):
    """A convolution and a residual; `chomp`: padded on both sides, its last cells cut off."""

    def __init__(self, channels: int, dilation: int, chomp: bool) -> None:
        super().__init__()
        self.before = 2 * dilation
        padding = self.before if chomp else 0
        self.conv = torch.nn.Conv1d(channels, 6, 3, dilation=dilation, padding=padding)
        self.beside = torch.nn.Conv1d(channels, 6, 1)
        self.chomp = chomp

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = self.conv(x)[:, :, : -self.before] if self.chomp else None
        if made is None:
            made = self.conv(F.pad(x, (self.before, 0)))
        return F.relu(F.relu(made) + self.beside(x))


class Tcn(torch.nn.Module):
    """Answers by the last frame alone."""

    def __init__(self, chomp: bool) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.blocks = torch.nn.Sequential(Block(CHANNELS, 1, chomp), Block(6, 2, chomp))
        self.head = torch.nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(x)[:, :, -1])


def rows(frames: int) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(24, CHANNELS, frames)).astype(np.float32)


def window(chomp: bool, frames: int, file: Path | None = None) -> Graph:
    """In integers; by way of an ONNX file where one is named."""
    module, x = Tcn(chomp).eval(), rows(frames)
    if file is not None:
        file.write_bytes(exported(module, (CHANNELS, frames)))
        graph = load_onnx(file)[0].graph
    else:
        made = edgeq.from_torch(module, torch.from_numpy(x[:1]), calibration=x, name="tcn")
        graph = graph_of(edgeq.quantize(made, x, weights="int8", progress=False))
    return quantize(graph, x.transpose(0, 2, 1)[:, None], "minmax").graph


@pytest.mark.parametrize("chomp", [False, True])
@pytest.mark.parametrize("onnx", [False, True])
def test_a_window_that_reads_no_padding_is_its_stream(
    chomp: bool, onnx: bool, tmp_path: Path
) -> None:
    """Nothing is said of padding, as the answers are those of the window itself."""
    graph = window(chomp, REACH + 3, tmp_path / "tcn.onnx" if onnx else None)
    time = timing(graph)
    assert padded(graph, time) == ((), ())
    assert not [node for node in graph.nodes if node.op == "Pad"]
    step = stream(graph, 1)
    assert step.stream == replace(step.stream, window=REACH + 3, lookahead=0)
    assert check_stream(step, graph, time.axis).passed


@pytest.mark.parametrize("chomp", [False, True])
def test_a_shorter_window_reads_the_frames_in_front(chomp: bool) -> None:
    graph = window(chomp, REACH - 1)
    time = timing(graph)
    assert [len(names) for names in padded(graph, time)] == [1, 0]
    step = stream(graph, 1)
    assert step.stream is not None
    assert step.stream.window == REACH + 1
    assert check_stream(step, unpadded(graph), time.axis).passed
    assert time.lookahead == 0


@settings(max_examples=6)
@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 2), st.booleans(), st.sampled_from((8, 4))
)
def test_causal_layers_stream_as_their_window(
    taps: int, dilation: int, stride: int, depthwise: bool, bits: int
) -> None:
    def model() -> nn.Model:
        torch.manual_seed(taps)
        groups = CHANNELS if depthwise else 1
        body = nn.Sequential(
            *(nn.Conv1d(CHANNELS, 4, taps, bits, stride, "causal", dilation=dilation), nn.ReLU()),
            *(nn.Conv1d(4, 4, 3, bits, 1, "causal", groups, dilation=2), nn.ReLU()),
            *(nn.GlobalAvgPool(), nn.Linear(4, 3)),
        )
        return nn.Model(body, (CHANNELS, 12), name="tcn")

    graph = from_torch(model)
    time = timing(graph)
    front, behind = padded(graph, time)
    assert (len(front), behind) == (1 + (taps > 1), ())
    step = stream(graph, stride)
    assert check_stream(step, unpadded(graph), time.axis).passed


@pytest.mark.parametrize("kind", ["int8", "ternary"])
def test_causal_is_padding_in_front(kind: str) -> None:
    torch.manual_seed(1)
    causal = nn.Conv1d(3, 5, 3, kind, 2, "causal", dilation=2, act_quant=False)
    bare = nn.Conv1d(3, 5, 3, kind, 2, dilation=2, act_quant=False)
    bare.load_state_dict(causal.state_dict())
    x = torch.randn(2, 3, 11)
    torch.testing.assert_close(causal(x), bare(F.pad(x, (4, 0))))
    later = x.clone()
    later[:, :, 7:] += 1.0
    torch.testing.assert_close(causal(later)[:, :, :4], causal(x)[:, :, :4])  # cells 0 to 6


def around(shape: tuple[int, int, int, int], value: float = 0.0) -> torch.nn.Module:
    """A map padded by a constant, then a convolution."""

    class Padded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(2)
            self.conv = torch.nn.Conv2d(2, 3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(F.pad(x, shape, value=value)).relu()

    return Padded().eval()


def float_graph(module: torch.nn.Module) -> tuple[Graph, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(16, 2, 6, 7)).astype(np.float32)
    made = edgeq.from_torch(module, torch.from_numpy(x[:1]), calibration=x, name="padded")
    graph = graph_of(edgeq.quantize(made, x, weights="int8", progress=False))
    return graph, x.transpose(0, 2, 3, 1)


def test_padding_taken_in_leaves_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = float_graph(around((1, 2, 0, 3)))
    with_window = quantize(graph, x, "minmax").graph
    monkeypatch.setattr("edgeq.passes.take_in_padding", lambda graph: graph)
    with_copy = quantize(graph, x, "minmax").graph
    assert [n.op for n in with_copy.nodes] == ["Pad", *(n.op for n in with_window.nodes)]
    given = random_rows(with_window, 20, 7)
    np.testing.assert_array_equal(run(with_window, given).output, run(with_copy, given).output)


def test_other_padding_stays() -> None:
    graph, _ = float_graph(around((1, 2, 0, 3), 0.5))
    assert take_in_padding(graph) == graph
    graph, _ = float_graph(around((1, 2, 0, 3)))
    (pad,) = (node for node in graph.nodes if node.op == "Pad")
    fewer = len(graph.nodes) - 1

    def left(changed: Graph) -> int:
        return len(take_in_padding(changed).nodes)

    def with_pad(attrs: Pad) -> Graph:
        nodes = (replace(n, attrs=attrs) if n is pad else n for n in graph.nodes)
        return graph.with_nodes(nodes)

    assert left(graph) == fewer
    assert left(with_pad(replace(pad.attrs, after=(3, 2, 1)))) == fewer + 1  # other channels
    ends = pad.inputs[0], pad.outputs[0]
    kinds = {n: replace(graph.tensors[n], quant=Quant((0.5,), i)) for i, n in enumerate(ends)}
    assert left(graph.with_tensors(kinds)) == fewer + 1  # rounded between
    twice = replace(graph, outputs=(*graph.outputs, pad.outputs[0]))
    assert left(twice) == fewer + 1

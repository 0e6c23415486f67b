"""A step that carries its state on: the whole sequence since a reset, in numpy, ONNX and in C."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgeq
from edgeq import nn
from edgeq.emit.onnx_check import run_onnx
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.runs import form_ends
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph
from edgeq.nn.recurrent import Recurrent
from edgeq.ops.copies import Slice
from edgeq.ops.op import Array, with_entry
from edgeq.ops.reshape import Reshape
from edgeq.passes import quantize
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stream import stream
from edgeq.reference import output_codes, random_rows, real_inputs, run
from edgeq.streaming import StreamRequest, check_step
from tests.unit.emit import test_firmware as c

FEATURES, FRAMES = 6, 10
LAYERS = (nn.LSTM, nn.GRU, nn.MGU)


def quantized(*layers: Any, frames: int = FRAMES, features: int = FEATURES) -> Graph:
    torch.manual_seed(0)
    x = np.random.default_rng(1).normal(size=(20, features, frames)).astype(np.float32)
    model = nn.Model(nn.Sequential(*layers).eval(), (features, frames), calibration=x)
    rows = np.ascontiguousarray(x.transpose(0, 2, 1)[:, None])
    return quantize(graph_of(model), rows, "minmax", frozenset()).graph


def window(layer: type[Recurrent], *, conv: bool) -> Graph:
    """Two recurrent layers, behind a convolution, and the last step's answer."""
    torch.manual_seed(1)
    before = [nn.Conv1d(FEATURES, 8, 3, "int8"), nn.ReLU()] if conv else []
    given = 8 if conv else FEATURES
    return quantized(
        *before, layer(given, 5, "int8"), layer(5, 4, "int8", last=True), nn.Linear(4, 2, "int8")
    )


def of_frames(graph: Graph, frames: int, given: int = FRAMES) -> Graph:
    """The same layers over so many frames more or fewer: what a longer sequence is answered by."""
    more = frames - given
    nodes, tensors = [], dict(graph.tensors)

    def longer(shape: tuple[int, ...]) -> tuple[int, ...]:
        axis = len(shape) - 2
        return with_entry(shape, axis, shape[axis] + more)

    for name in (*graph.inputs, *(n.outputs[0] for n in graph.nodes)):
        shape = tensors[name].shape
        if len(shape) > 1 and shape[-2] > 1:
            tensors[name] = replace(tensors[name], shape=longer(shape))
    for node in graph.nodes:
        attrs = node.attrs
        if isinstance(attrs, Slice):
            attrs = replace(attrs, start=with_entry(attrs.start, 0, attrs.start[0] + more))
        if isinstance(attrs, Reshape):
            attrs = Reshape(tensors[node.outputs[0]].shape)
        nodes.append(replace(node, attrs=attrs))
    return replace(graph, nodes=tuple(nodes), tensors=tensors)


def sequence(step: Graph, rows: int, seed: int = 3) -> tuple[Array, Array]:
    """Rows of a step, and the same frames as one window."""
    x = random_rows(step, rows, seed)
    return x, np.concatenate(list(x), axis=1)[None]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("hop", [1, 2])
@pytest.mark.parametrize("conv", [False, True], ids=["rows", "conv"])
def test_a_step_is_the_whole_sequence(layer: type[Recurrent], hop: int, *, conv: bool) -> None:
    """At every hop, however many have come, of frames that a convolution has read whole."""
    graph = window(layer, conv=conv)
    step = stream(graph, hop, carry=True)
    assert step.stream is not None
    check = check_step(step, graph)
    assert check.passed, check.said
    assert "carries its state equals the window" in check.said
    hops = 40 // hop
    x, frames = sequence(step, hops)
    made = run(step, x).output
    lead = -(-2 // hop) if conv else 0  # hops before the first cell
    for came in range(lead + 1, hops + 1):
        heard = came * hop - (lead * hop - 2 if conv else 0)
        whole = of_frames(graph, heard)
        wanted = run(whole, frames[:, :, came * hop - heard : came * hop]).output[0]
        np.testing.assert_array_equal(made[came - 1], wanted)


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_but_the_state_is_kept(layer: type[Recurrent]) -> None:
    """And a cell for each frame that the convolution reads back."""
    step = stream(window(layer, conv=True), 1, carry=True)
    name = f"{layer.__name__.title()}Step"
    assert [n.op for n in step.nodes].count(name) == 2
    assert [n.op for n in step.nodes].count("History") == 1
    assert [n.attrs.wait for n in step.nodes if n.op == name] == [2, 2]


@pytest.mark.parametrize("layer", LAYERS)
def test_onnx_hands_its_state_on(layer: type[Recurrent]) -> None:
    """As the whole sequence's ONNX file, but for the hidden state, which is rounded at each hop."""
    graph = window(layer, conv=True)
    step = stream(graph, 2, carry=True)
    x, frames = sequence(step, 12)
    model = onnx_model(step, "t").SerializeToString()
    made = output_codes(step, run_onnx(model, real_inputs(step, x), form_ends(step)).output)
    for came in (2, 5, 9, 12):
        whole = of_frames(graph, 2 * came)
        real = real_inputs(whole, frames[:, :, : 2 * came])
        wanted = run_onnx(onnx_model(whole, "t").SerializeToString(), real).output
        assert np.abs(output_codes(whole, wanted)[0] - made[came - 1]).max() <= 1
    assert np.ptp(made[1:], axis=0).min() > 10


@pytest.mark.parametrize("layer", LAYERS)
def test_c_is_the_reference(layer: type[Recurrent], tmp_path: Path) -> None:
    """Under the sanitizers, the rows one sequence."""
    step = select_kernels(stream(window(layer, conv=True), 2, carry=True), frozenset())
    x = sequence(step, 20)[0]
    c.assert_equals_reference(step, c.answers(c.compiled(step, tmp_path, tmp_path), step, x), x)


def test_causal_padding_is_what_a_reset_leaves() -> None:
    """The first answers are the window's own, which pads; no row is waited for."""
    svdf = nn.SVDF(FEATURES, 8, 3, "int8")  # zeros in front of its first frame
    graph = quantized(svdf, nn.ReLU(), nn.GRU(8, 5, "int8", last=True), nn.Linear(5, 2, "int8"))
    step = stream(graph, 1, carry=True)
    assert check_step(step, graph).passed
    assert [n.attrs.wait for n in step.nodes if n.op == "GruStep"] == [0]


REFUSED: dict[str, tuple[tuple[Any, ...], int, str]] = {
    "padding behind": (
        (nn.Conv1d(FEATURES, 8, 3, padding=1), nn.GRU(8, 4, last=True)),
        1,
        "look.* into the future",
    ),
    "padding in front of other cells": (
        (nn.Conv1d(FEATURES, 8, 3), nn.SVDF(8, 8, 2), nn.GRU(8, 4, last=True)),
        1,
        "pads in front of a cell that is not the first",
    ),
    "no recurrent layer": ((nn.Conv1d(FEATURES, 8, 3),), 1, "no recurrent layer on frames"),
    "a hop that ends elsewhere": (
        (nn.GRU(FEATURES, 4, last=True),),
        3,
        r"a hop of 3 frames does not end .* give --stream hop=1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_step_is_equal_to_is_refused(name: str) -> None:
    layers, hop, said = REFUSED[name]
    end = (
        (nn.Flatten(), nn.Linear(8 * 8, 2)) if name == "no recurrent layer" else (nn.Linear(4, 2),)
    )
    with pytest.raises(UnsupportedOp, match=said):
        stream(quantized(*layers, *end), hop, carry=True)


def test_carry_goes_with_a_stream() -> None:
    with pytest.raises(BadInput, match="--carry goes with --stream"):
        StreamRequest.read(None, lookahead=False, carry=True)


def test_a_wrong_state_is_noticed() -> None:
    """Of the proof: a wait that is one too few."""
    graph = window(nn.GRU, conv=True)
    step = stream(graph, 1, carry=True)
    nodes = [
        replace(n, attrs=replace(n.attrs, wait=1)) if n.op == "GruStep" else n for n in step.nodes
    ]
    assert not check_step(step.with_nodes(nodes), graph).passed


def test_an_export_carries_on(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(1).normal(size=(40, FEATURES, FRAMES)).astype(np.float32)
    body = nn.Sequential(nn.GRU(FEATURES, 5, "int8", last=True), nn.Linear(5, 2, "int8"))
    edgeq.save(nn.Model(body, (FEATURES, FRAMES), calibration=x, name="ears"), tmp_path / "m.pt")
    out = tmp_path / "out"
    report = edgeq.export(tmp_path / "m.pt", "virtual_m4", out, stream="hop=1", carry=True)
    assert all(check["passed"] for check in report["checks"])
    assert any("carry their state on" in note for note in report["notes"])
    assert any("no recurrent operator whose state" in note for note in report["notes"])
    assert edgeq.verify(out)["passed"]

"""Recurrent layers of others: torch.nn modules and ONNX files, and what is refused of them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from onnx import helper, numpy_helper
from torch import Tensor
from torch import nn as tn

import edgeq
from edgeq.errors import UnsupportedOp
from edgeq.frontend.onnx_file import parse
from edgeq.frontend.onnx_loader import imported
from edgeq.ops.lstm import cell_power, power_for
from edgeq.passes.float_forward import run_float
from tests.onnx_files import model
from tests.recurrent_cases import PLAIN, RECURRENT_CASES
from tests.unit.frontend.test_onnx_loader import HERE
from tests.unit.frontend.test_onnx_round_trip import back, both
from tests.unit.frontend.test_torch_ops import Of, taken

torch.set_num_threads(1)
SHAPE, UNITS = (6, 5), 3
Array = np.ndarray[Any, Any]


class Heard(tn.Module):
    """`ends`: reads the last hidden states of all layers, else the last output."""

    def __init__(self, layer: tn.Module, ends: bool) -> None:
        super().__init__()
        self.layer, self.ends, self.head = layer, ends, tn.Linear(UNITS, 2)

    def forward(self, x: Tensor) -> Tensor:
        out, state = self.layer(x)
        hidden = state[0] if isinstance(state, tuple) else state
        return self.head(hidden[-1] if self.ends else out[:, -1])


@pytest.mark.parametrize(
    ("layer", "layers", "ends"),
    [(tn.LSTM, 1, False), (tn.LSTM, 2, True), (tn.GRU, 2, False), (tn.GRU, 1, True)],
)
def test_torchs_layers_are_taken(layer: Any, layers: int, ends: bool) -> None:
    found = taken(Heard(layer(5, UNITS, layers, batch_first=True), ends), SHAPE)
    assert found.count("Lstm" if layer is tn.LSTM else "Gru") == layers
    assert found.count("Slice") == (layers + 1 if ends else 1)  # what nobody reads is gone


def test_an_lstm_without_biases_behind_rows() -> None:
    lstm = tn.LSTM(4, UNITS, bias=False, batch_first=True)
    assert "Lstm" in taken(Of(lambda x: lstm(x)[0].mean(1), tn.Linear(5, 4)), SHAPE)


class Begun(tn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = tn.LSTM(5, UNITS, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.ones(1, 1, UNITS), torch.zeros(1, 1, UNITS)
        return self.layer(x, state)[0]


class Cell(tn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = tn.LSTM(5, UNITS, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[1][1][-1]


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Heard(tn.LSTM(5, UNITS, batch_first=True, bidirectional=True), True), "bidirectional"),
        (Heard(tn.LSTM(5, 4, batch_first=True, proj_size=UNITS), False), "it has a projection"),
        (Begun(), "it begins with a state of its own"),
        (Of(tn.LSTM(5, UNITS), ), "build it for"),
        (Cell(), "reads a last cell"),
    ],
)  # fmt: skip
def test_what_no_kernel_computes_is_refused(module: tn.Module, said: str) -> None:
    with pytest.raises(UnsupportedOp, match=said):
        edgeq.from_torch(module, torch.randn(1, *SHAPE))


def test_a_sequence_in_front_of_its_batch_is_refused() -> None:
    lstm = tn.LSTM(5, UNITS)
    with pytest.raises(UnsupportedOp, match="it works along the batch"):
        edgeq.from_torch(Of(lambda x: lstm(x.transpose(0, 1))[0]), torch.randn(1, *SHAPE))


def test_the_cells_steps_hold_what_a_sequence_can_add() -> None:
    """A step adds less than 1."""
    assert [cell_power(n) for n in (1, 2, 3, 8, 9, 64, 1000)] == [-15, -14, -13, -12, -11, -9, -9]
    assert [power_for(c) for c in (0.0, 0.5, 0.9999, 1.0, 5.0, 1e9)] == [
        -15,
        -15,
        -15,
        -14,
        -12,
        -9,
    ]


def weights(rng: np.random.Generator, gates: int) -> tuple[Array, Array, Array]:
    rows = gates * UNITS
    shapes = (1, rows, SHAPE[1]), (1, rows, UNITS), (1, 2 * rows)
    made = [rng.normal(0, 0.5, s).astype(np.float32) for s in shapes]
    return made[0], made[1], made[2]


def file(*more: object, op: str = "LSTM", **attributes: Any) -> bytes:
    """A row's axes exchanged, as PyTorch writes them, and an LSTM of it."""
    held = [*weights(np.random.default_rng(7), gates=4 if op == "LSTM" else 3), *more]
    arrays = [
        numpy_helper.from_array(np.asarray(v), f"c{i}") for i, v in enumerate(held) if v is not None
    ]
    names = [f"c{i}" if v is not None else "" for i, v in enumerate(held)]
    given = {"hidden_size": UNITS, **attributes}
    nodes = [
        helper.make_node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        helper.make_node(op, ["turned", *names], ["steps"], name="one", **given),
        helper.make_node("Squeeze", ["steps", "axis"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["y0"], perm=[1, 0, 2]),
    ]
    arrays.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))
    return model(nodes, (1, *SHAPE), arrays)


ZEROS = np.zeros((1, 1, UNITS), np.float32)


@pytest.mark.parametrize("more", [(), (np.array([SHAPE[0]], np.int32), ZEROS, ZEROS)])
def test_onnx_lstm_answers_as_onnx_runtime(more: tuple[object, ...]) -> None:
    data = file(*more, activations=["Sigmoid", "Tanh", "Tanh"])
    x = np.random.default_rng(8).normal(size=(1, *SHAPE)).astype(np.float32)
    wanted = ort.InferenceSession(data).run(None, {"x": x})[0]
    graph = imported(parse(data, HERE), "net").graph
    got = run_float(graph, x)
    np.testing.assert_allclose(got.values[graph.outputs[0]].ravel(), wanted.ravel(), atol=1e-5)


def test_onnx_gru_answers_as_onnx_runtime() -> None:
    data = file(op="GRU", linear_before_reset=1, activations=["Sigmoid", "Tanh"])
    x = np.random.default_rng(8).normal(size=(1, *SHAPE)).astype(np.float32)
    wanted = ort.InferenceSession(data).run(None, {"x": x})[0]
    graph = imported(parse(data, HERE), "net").graph
    got = run_float(graph, x).values[graph.outputs[0]]
    np.testing.assert_allclose(got.ravel(), wanted.ravel(), atol=1e-5)


def test_a_reset_in_front_of_the_product_is_refused() -> None:
    with pytest.raises(UnsupportedOp, match="linear_before_reset=1 is taken"):
        imported(parse(file(op="GRU"), Path("x.onnx")), "net")


@pytest.mark.parametrize(
    ("more", "attributes", "said"),
    [
        ((), {"direction": "reverse"}, "it is reverse"),
        ((), {"activations": ["Sigmoid", "Relu", "Tanh"]}, "it has activations"),
        ((), {"clip": 3.0}, "or clips its gates"),
        ((), {"input_forget": 1}, "couples its input"),
        ((), {"hidden_size": 2}, "its weights are|computes"),
        ((np.array([2], np.int32),), {}, "ends before"),
        ((None, ZEROS + 1, ZEROS), {}, "a state of its own"),
        ((None, None, None, np.ones((1, 9))), {}, "peepholes"),
    ],
)
def test_other_onnx_lstms_are_refused(
    more: tuple[object, ...], attributes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UnsupportedOp, match=said):
        imported(parse(file(*more, **attributes), Path("x.onnx")), "net")


@pytest.mark.parametrize("name", PLAIN)
def test_an_exported_file_comes_back(name: str) -> None:
    graph = RECURRENT_CASES[name]()
    wanted, got = both(graph, back(graph))
    assert np.abs(got.astype(int) - wanted).max() <= 2

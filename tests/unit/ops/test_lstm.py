"""Lstm, Gru and Mgu: by hand, beside floats, ONNX Runtime, LiteRT, in C; tests/tflm has bytes."""

import math
from pathlib import Path

import numpy as np
import pytest

from edgeq.emit.tflite_check import assert_tflm_dtypes, run_tflite
from edgeq.emit.tflite_model import tflite_model
from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.ops import OPS
from edgeq.ops.lstm import Lstm
from edgeq.ops.lstm_steps import SIGMOID_TABLE, sigmoid_q15, tanh_q15
from edgeq.ops.op import quant_of
from edgeq.passes.float_forward import run_float
from edgeq.reference import run
from tests.factory import input_rows
from tests.recurrent_cases import CASES, LAYERS, PLAIN, RECURRENT_CASES, float_graph, rows_of
from tests.unit.emit import test_firmware as c
from tests.unit.emit.test_onnx_model import int8_values

NAMED = pytest.mark.parametrize("name", CASES)
STEPS = 4  # between integers and floats: the state is rounded at every step, and fed back
MOST = {"mgu": 6}  # one gate stands in three places, so that its rounded weights count more
LONG = ("lstm of many steps", "lstm of a fine cell")
X = np.arange(-32768, 32768, dtype=np.int64)


def test_the_table_is_the_sigmoid_at_twenty_fourths() -> None:
    assert SIGMOID_TABLE[0] == 32768
    assert SIGMOID_TABLE[24] == round(65536 / (1 + math.exp(-1)))
    assert SIGMOID_TABLE[255] < 65536


def test_sigmoid_and_tanh_are_near_the_real_ones() -> None:
    """Of every int16: within four of 32768, and never out of int16."""
    real = 1 / (1 + np.exp(-X / 4096))
    assert np.abs(sigmoid_q15(X) - real * 32768).max() < 4
    for power in range(-15, -8):
        made = tanh_q15(X, power)
        assert np.abs(made - np.tanh(X * 2.0**power) * 32768).max() < 6
        assert made.min() >= -32768
        assert made.max() <= 32767
    assert 0 <= sigmoid_q15(X).min() <= sigmoid_q15(X).max() <= 32767


@pytest.mark.parametrize("name", PLAIN)
def test_it_is_the_float_op_within_steps(name: str) -> None:
    graph, x = RECURRENT_CASES[name](), rows_of(name)
    quant, out = (quant_of(graph.tensors[n]) for n in (*graph.inputs, *graph.outputs))
    codes = np.clip(np.round(x / quant.per_tensor) + quant.zero_point, -128, 127).astype(np.int8)
    given = ((codes.astype(float) - quant.zero_point) * quant.per_tensor).astype(np.float32)
    wanted = run_float(float_graph(name), given).values["y"].astype(np.float64)
    steps = np.clip(wanted / out.per_tensor + out.zero_point, -128, 127)
    apart = np.abs(run(graph, codes).output - steps)
    assert apart.max() <= MOST.get(name, STEPS)
    assert apart.mean() < 0.75


@pytest.mark.parametrize("name", PLAIN)
def test_onnx_runtime(name: str) -> None:
    graph, x = RECURRENT_CASES[name](), rows_of(name, 6)
    quant = quant_of(graph.tensors["x"])
    codes = np.clip(np.round(x / quant.per_tensor) + quant.zero_point, -128, 127).astype(np.int8)
    got = int8_values(graph, codes)[graph.outputs[0]]
    assert np.abs(got - run(graph, codes).output.astype(int)).max() <= STEPS


@NAMED
def test_litert_begins_each_row_anew(name: str) -> None:
    """And rounds once where the integers round twice: a step, which sixty steps feed back."""
    graph = RECURRENT_CASES[name]()
    x = input_rows(np.random.default_rng(2), graph, 6)
    file = tflite_model(graph, "one")
    assert_tflm_dtypes(file)
    apart = np.abs(run_tflite(file, x).logits.astype(int) - run(graph, x).output)
    assert apart.max() <= (STEPS if name in LONG else 1)
    assert apart.mean() < 0.05


@NAMED
def test_its_file_is_read_back(name: str) -> None:
    graph = RECURRENT_CASES[name]()
    again = graph_of_tflite(tflite_model(graph, "one"), "again")
    x = input_rows(np.random.default_rng(5), graph, 6)
    np.testing.assert_array_equal(run(again, x).output, run(graph, x).output)


@pytest.mark.parametrize("name", LAYERS)
def test_c_is_the_reference(name: str, tmp_path: Path) -> None:
    """Under the sanitizers."""
    graph = RECURRENT_CASES[name]()
    x = input_rows(np.random.default_rng(3), graph, 20)
    c.assert_equals_reference(graph, c.answers(c.compiled(graph, tmp_path, tmp_path), graph, x), x)


@pytest.mark.parametrize(
    ("attrs", "shape", "said"),
    [
        (Lstm(), (3,), "do not fit a sequence"),
        (Lstm(), (3, 4), "do not fit a sequence"),
        (Lstm(-16), (3, 5), "steps of 2\\^-16"),
        (Lstm(-8), (3, 5), "steps of 2\\^-8"),
        (Lstm(-12, -1), (3, 5), "clipped at -1"),
    ],
)
def test_what_fits_no_lstm_is_said(attrs: Lstm, shape: tuple[int, ...], said: str) -> None:
    params = {"input_weight": np.zeros((8, 5)), "recurrent_weight": np.zeros((8, 2))}
    with pytest.raises(ValueError, match=said):
        OPS["Lstm"].result_shape(attrs, (shape,), params)

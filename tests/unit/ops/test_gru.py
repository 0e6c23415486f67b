"""Gru: its state stays a share of what it was, a layer of nothing, and the form that it has not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.emit.forms import emit_forms
from edgeq.ops.gru import half_up
from edgeq.ops.lstm_steps import sigmoid_q15, tanh_q15
from edgeq.passes import quantize
from edgeq.reference import run
from tests.recurrent_cases import LAYERS, RECURRENT_CASES, float_graph, rows_of

HALF = st.integers(-32768, 32767)


@given(HALF, HALF, HALF)
def test_the_state_never_leaves_int16(update: int, state: int, new: int) -> None:
    """Of any sums: a share of two numbers of int16 is one."""
    share, fresh = sigmoid_q15(np.array(update)), tanh_q15(np.array(new), -12)
    made = half_up(share * state + ((1 << 15) - share) * fresh)
    assert -32768 <= made <= 32767
    assert min(state, fresh) <= made <= max(state, fresh) + 1


def test_a_gate_that_is_shut_keeps_the_state() -> None:
    """The update gate's bias far above 0: it is the sigmoid of 8, the largest sum."""
    graph = float_graph("gru")
    units = LAYERS["gru"][2]
    bias = graph.constants["bias"].copy()
    bias[units : 2 * units] = 30
    x = rows_of("gru")
    shut = quantize(graph.with_constants({"bias": bias}), x, "minmax").graph
    made = run(shut, np.zeros((1, *x.shape[1:]), np.int8)).output
    quant = shut.tensors["y"].quant
    assert quant is not None
    assert np.abs(np.diff(made.astype(int), axis=1)).max() * quant.per_tensor < 1e-3


@pytest.mark.parametrize("name", ["gru", "lstm", "mgu"])
def test_a_layer_of_nothing_answers_zero(name: str) -> None:
    """Its output's steps are no finer than its state's."""
    graph = float_graph(name)
    zeros = {role: np.zeros_like(value) for role, value in graph.constants.items()}
    x = rows_of(name)
    made = quantize(replace(graph, constants=zeros), x, "minmax").graph
    quant = made.tensors["y"].quant
    assert quant is not None
    assert quant.per_tensor >= 2**-15
    assert set(run(made, np.full((1, *x.shape[1:]), 9, np.int8)).output.ravel()) == {
        quant.zero_point
    }


def test_tensorflow_lite_has_none() -> None:
    forms = emit_forms(RECURRENT_CASES["gru"](), "g", "0" * 64)
    assert forms.tflite is None
    assert "TFLite has no operator for a GRU: one is one; an LSTM has one" in forms.notes[0]

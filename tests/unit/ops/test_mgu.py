"""Mgu: it is the Gru whose update gate is its reset gate's opposite, and has no TFLite form."""

import numpy as np
import pytest

from edgeq.emit.forms import emit_forms
from edgeq.ops import OPS
from edgeq.ops.gru import Gru
from edgeq.ops.mgu import Mgu, step
from edgeq.passes import quantize
from edgeq.reference import run
from tests.recurrent_cases import LAYERS, RECURRENT_CASES, float_graph, rows_of


def test_it_is_a_gru_of_one_gate() -> None:
    """Reset f, update -f: 1 - sigmoid(f) is sigmoid(-f)."""
    graph, x = float_graph("mgu"), rows_of("mgu").astype(np.float64)
    forget, new = ({r: np.split(v, 2)[i] for r, v in graph.constants.items()} for i in (0, 1))
    tied = {r: np.concatenate([forget[r], -forget[r], new[r]]) for r in forget}
    wanted = OPS["Gru"].float_forward(Gru(), (x,), tied)
    made = OPS["Mgu"].float_forward(Mgu(), (x,), graph.constants)
    np.testing.assert_allclose(made, wanted, atol=1e-12)


def test_a_step_by_hand() -> None:
    """A gate that is half open, sums of 0: half of what was kept; ties upward."""
    zero = np.zeros(3, np.int64)
    made = step([zero, zero], [zero, zero], np.array([3, -3, 32767]))
    np.testing.assert_array_equal(made, [2, -1, 16384])


def test_a_gate_that_is_shut_keeps_the_state() -> None:
    graph, units = float_graph("mgu"), LAYERS["mgu"][2]
    bias = graph.constants["bias"].copy()
    bias[:units] = -30
    x = rows_of("mgu")
    shut = quantize(graph.with_constants({"bias": bias}), x, "minmax").graph
    made = run(shut, np.zeros((1, *x.shape[1:]), np.int8)).output
    quant = shut.tensors["y"].quant
    assert quant is not None
    assert np.abs(np.diff(made.astype(int), axis=1)).max() * quant.per_tensor < 1e-3


def test_weights_of_three_gates_are_refused() -> None:
    params = {"input_weight": np.zeros((6, 5)), "recurrent_weight": np.zeros((6, 2))}
    with pytest.raises(ValueError, match="do not fit a sequence"):
        OPS["Mgu"].result_shape(Mgu(), ((3, 5),), params)


def test_tensorflow_lite_has_none() -> None:
    forms = emit_forms(RECURRENT_CASES["mgu"](), "g", "0" * 64)
    assert forms.tflite is None
    assert "TFLite has no operator for an MGU: one is one; an LSTM has one" in forms.notes[0]

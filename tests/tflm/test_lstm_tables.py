"""The functions of an LSTM on every int16, as TensorFlow Lite Micro's operators compute them."""

from collections.abc import Callable

import numpy as np
import pytest

from edgeq.emit.tflite_writer import ModelWriter
from edgeq.ir import Quant
from edgeq.ops.lstm_steps import sigmoid_q15, tanh_q15
from tests.tflm.interpreter import run_tflm

X = np.arange(-32768, 32768)
FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "LOGISTIC": sigmoid_q15,
    "TANH": lambda x: tanh_q15(x, -12),
}


@pytest.mark.parametrize("op", FUNCTIONS)
def test_every_int16(op: str) -> None:
    model = ModelWriter()
    graph = model.subgraph("main")
    x = graph.value("x", (1, X.size), "int16", Quant((2.0**-12,)))
    y = graph.value("y", (1, X.size), "int16", Quant((2.0**-15,)))
    graph.op(op, [x], [y])
    graph.finish([x], [y])
    file = model.to_bytes("one", {"x": x}, {"y": y}, {})
    (ran,) = run_tflm(file, X.astype(np.int16)[None])
    assert not ran.refused, ran.refused
    np.testing.assert_array_equal(ran.outputs[0].reshape(-1), FUNCTIONS[op](X.astype(np.int64)))

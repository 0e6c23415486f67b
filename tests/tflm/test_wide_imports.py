"""Files of int16 activations and int8 weights answer as TensorFlow Lite Micro does, to the byte."""

import numpy as np
import pytest

from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.ops.op import Array
from edgeq.reference import random_rows, run
from tests.tflite_wide import WIDE
from tests.tflm.interpreter import run_tflm

ROWS = 6


def rows_of(file: bytes) -> Array:
    """Codes over the whole range; the first row holds its two ends alone."""
    x = random_rows(graph_of_tflite(file, "t"), ROWS, 4)
    info = np.iinfo(x.dtype)
    x[0] = np.where(x[0] < 0, info.min, info.max)
    return x


@pytest.mark.parametrize("name", WIDE)
def test_a_file(name: str) -> None:
    """test_agreement.py has what an export of it writes."""
    file = WIDE[name]
    graph, x = graph_of_tflite(file, "imported"), rows_of(file)
    runs = run_tflm(file, x)
    assert not any(r.refused for r in runs), runs[0].refused
    got = np.stack([r.outputs[0].reshape(-1) for r in runs])
    np.testing.assert_array_equal(got, run(graph, x).output.reshape(ROWS, -1))

"""Files as others write them: the graph read from each answers as TensorFlow Lite Micro does."""

import numpy as np
import pytest

from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.reference import run
from tests.factory import input_rows
from tests.tflite_files import TAKEN
from tests.tflm.agreement import assert_agrees
from tests.tflm.interpreter import run_tflm

ROWS = 5


@pytest.mark.parametrize("name", TAKEN)
def test_an_imported_file(name: str) -> None:
    """The file's own bytes, and those of the .tflite that an export of it writes."""
    graph = graph_of_tflite(TAKEN[name], "imported")
    x = input_rows(np.random.default_rng(4), graph, ROWS)
    runs = run_tflm(TAKEN[name], x)
    assert not any(r.refused for r in runs), runs[0].refused
    got = np.stack([r.outputs[0].reshape(-1) for r in runs])
    np.testing.assert_array_equal(got, run(graph, x).output.reshape(ROWS, -1))
    assert_agrees(graph, x)

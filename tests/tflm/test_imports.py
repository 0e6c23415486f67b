"""Files as others write them: the graph read from each answers as TensorFlow Lite Micro does."""

import numpy as np
import pytest

from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.ir import Quant
from edgeq.reference import run
from tests import tflite_files as made
from tests.factory import input_rows
from tests.tflite_files import TAKEN
from tests.tflite_more import LITERT_ALONE, MORE
from tests.tflm.agreement import assert_agrees
from tests.tflm.interpreter import run_tflm

ROWS = 5


def int4(least: int) -> made.Make:
    """A convolution whose weights are two a byte, from `least` to 7."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        codes = made.rng(8).integers(least, 8, (5, 3, 3, 3)).astype(np.int8)
        weight = codes, Quant(tuple(made.rng(9).uniform(0.02, 0.05, 5).tolist()), 0, 0)
        options = made.conv_options(made.SAME, 2)
        return made.layer(sg, "CONV_2D", x, weight, (1, 3, 3, 5), options, dtype="int4")

    return make


FILES = {**TAKEN, **MORE, **{f"int4 from {n}": made.written(made.MAP, int4(n)) for n in (-7, -8)}}


@pytest.mark.parametrize("name", FILES)
def test_an_imported_file(name: str) -> None:
    """The file's own bytes, and those of the .tflite that an export of it writes."""
    graph = graph_of_tflite(FILES[name], "imported")
    x = input_rows(np.random.default_rng(4), graph, ROWS)
    runs = run_tflm(FILES[name], x)
    assert not any(r.refused for r in runs), runs[0].refused
    got = np.stack([r.outputs[0].reshape(-1) for r in runs])
    if got.dtype == np.int32:  # places, which are 128 more than their codes
        got -= 128
    np.testing.assert_array_equal(got, run(graph, x).output.reshape(ROWS, -1))
    assert_agrees(graph, x)


@pytest.mark.parametrize("name", LITERT_ALONE)
def test_an_export_of_what_litert_alone_has_is_taken(name: str) -> None:
    graph = graph_of_tflite(LITERT_ALONE[name], "imported")
    assert_agrees(graph, input_rows(np.random.default_rng(4), graph, 2))

"""Files with ops that broadcast, join and move cells: what is exported comes back as it was."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeq.emit.tflite_model import tflite_model
from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.errors import UnsupportedOp
from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.ir import Quant
from edgeq.reference import run
from tests import tflite_files as made
from tests.factory import input_rows
from tests.shape_cases import SHAPE_CASES

# PixelShuffle's order is written as a TRANSPOSE of five axes without a batch
OWN = [name for name in SHAPE_CASES if name != "depth to space crd"]


@pytest.mark.parametrize("name", OWN)
def test_an_exported_file_comes_back(name: str) -> None:
    graph = SHAPE_CASES[name]()
    back = graph_of_tflite(tflite_model(graph, "t"), "t")
    x = input_rows(np.random.default_rng(7), graph, 4)
    np.testing.assert_array_equal(run(back, x).output, run(graph, x).output)


MAP = (1, 6, 6, 3)


def refused(make: Callable[[SubgraphWriter, Value], Value], shape: tuple[int, ...] = MAP) -> str:
    with pytest.raises(UnsupportedOp) as caught:
        graph_of_tflite(made.written(shape, make), "t")
    return str(caught.value)


def op(name: str, out: tuple[int, ...], options: Any, *more: Any, quant: Quant = made.X) -> Any:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        constants = [sg.constant(f"c{i}", np.asarray(v, np.int32)) for i, v in enumerate(more)]
        y = sg.value("y", out, "int8", quant)
        sg.op(name, [x, *constants], [y], options)
        return y

    return make


def test_what_is_not_taken_is_said() -> None:
    assert "transposes by" in refused(op("TRANSPOSE", MAP, None, [0, 1, 2]))
    assert "different scales" in refused(op("TRANSPOSE", MAP, None, [0, 2, 1, 3], quant=made.Y))
    assert "cannot transpose" in refused(op("TRANSPOSE", MAP, None, [0, 1, 1, 3]))
    assert "are in 6" in refused(op("SLICE", (1, 9, 6, 3), None, [0, 0, 0, 0], [1, 9, 6, 3]))
    assert "slices" in refused(op("SLICE", MAP, None, [0, 0], [1, 6]))
    resize = schema.ResizeNearestNeighborOptionsT()
    assert "whole factors" in refused(op("RESIZE_NEAREST_NEIGHBOR", (1, 9, 9, 3), resize, [9, 9]))
    blocks = schema.DepthToSpaceOptionsT(blockSize=2)
    assert "no blocks" in refused(op("DEPTH_TO_SPACE", (1, 12, 12, 1), blocks))
    nothing = schema.DepthToSpaceOptionsT(blockSize=0)
    assert "no blocks" in refused(op("DEPTH_TO_SPACE", (1, 6, 6, 3), nothing))
    amounts = [[0, 0], [1, 0], [0, 9999], [0, 0]]
    assert "more than 4096" in refused(op("PAD", (1, 7, 10005, 3), None, amounts))
    masked = schema.StridedSliceOptionsT(newAxisMask=1)
    assert "new axis" in refused(op("STRIDED_SLICE", MAP, masked, [0] * 4, [1, 6, 6, 3], [1] * 4))


def test_a_padding_that_no_window_reads_is_a_node() -> None:
    amounts = [[0, 0], [1, 2], [0, 3], [0, 0]]
    graph = graph_of_tflite(made.written(MAP, op("PAD", (1, 9, 9, 3), None, amounts)), "t")
    assert [n.op for n in graph.nodes] == ["Pad"]


def test_parts_of_a_split_are_slices() -> None:
    def make(sg: SubgraphWriter, x: Value) -> Value:
        axis = sg.constant("axis", np.array(-1, np.int32).reshape(()))
        parts = [sg.value(f"p{i}", (1, 6, 6, 1), "int8", x.quant) for i in range(3)]
        sg.op("SPLIT", [axis, x], parts, schema.SplitOptionsT(numSplits=3))
        y = sg.value("y", (1, 6, 6, 2), "int8", x.quant)
        sg.op("CONCATENATION", [parts[2], parts[0]], [y], schema.ConcatenationOptionsT(axis=-1))
        return y

    graph = graph_of_tflite(made.written(MAP, make), "t")
    x = input_rows(np.random.default_rng(1), graph, 3)
    np.testing.assert_array_equal(run(graph, x).output, x[..., [2, 0]])

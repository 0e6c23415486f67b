"""Whole numbers that an int8 .tflite file computes of codes: places, and tables read at them."""

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeq.emit.tflite_check import run_plain_tflite
from edgeq.emit.tflite_model import tflite_model
from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.errors import UnsupportedOp
from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.ir import Graph, Quant
from edgeq.ops.arg_max import OUTPUT_QUANT
from edgeq.ops.table import Table
from edgeq.prove.imported import check_imported
from edgeq.reference import run
from tests import tflite_files as made
from tests.factory import GraphBuilder, input_rows
from tests.tflite_more import (
    LITERT_ALONE,
    MAP,
    MORE,
    at_places,
    placed,
    squared,
    summed,
    tabled,
)

rng = np.random.default_rng


def divided(sg: SubgraphWriter, x: Value) -> Value:
    y = sg.value("y", x.shape, "int8", made.Y)
    by = sg.constant("by", np.array([3], np.int8), made.X)
    sg.op("DIV", [x, by], [y], schema.DivOptionsT())
    return y


def with_tables() -> Graph:
    """A layer between two functions that TensorFlow Lite has no int8 operator for."""
    build = GraphBuilder(
        rng(0), "net", rng(1).integers(-128, 128, (6, 24), np.int8), Quant((0.02,), 3)
    )
    build.activation("Silu")
    build.fully_connected(10, "s8", "relu")
    build.activation("Softplus")
    build.activation("HardSwish")
    return build.graph()


def kernels_of(graph: Graph) -> list[Any]:
    """All that a firmware has of a graph but its names: kernels, constants and types in order."""

    def flat(params: Any) -> Any:
        return {role: (str(v.dtype), v.shape, v.tobytes()) for role, v in params.items()}

    return [
        (
            "table" if "table" in node.params else (node.op, node.attrs),
            flat(graph.params(node)),
            [graph.tensors[name] for name in (*node.inputs, *node.outputs)],
        )
        for node in graph.nodes
    ]


def test_tables_that_an_export_writes_come_back_as_tables() -> None:
    graph = with_tables()
    back = graph_of_tflite(tflite_model(graph, "net"), "net")
    assert [n.op for n in back.nodes] == ["Table", "FullyConnected", "Table", "HardSwish"]
    again = graph_of_tflite(tflite_model(back, "net"), "net")
    assert kernels_of(again) == kernels_of(back)
    tables = [[g.param(n, "table") for n in g.nodes if "table" in n.params] for g in (graph, back)]
    np.testing.assert_array_equal(*tables)
    x = input_rows(rng(2), graph, 9)
    np.testing.assert_array_equal(run(back, x).output, run(graph, x).output)


def test_a_table_is_a_function_of_real_numbers() -> None:
    graph = graph_of_tflite(MORE["table"], "t")
    (node,) = graph.nodes
    assert isinstance(node.attrs, Table)
    codes = np.array(node.attrs.codes)
    np.testing.assert_array_equal(graph.param(node, "table"), codes)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (tabled((255,)), r"GATHER \(y\): it reads \[255\] constants at code \+ 128"),
        (tabled(middle=127), r"it reads \[256\] constants at code \+ 127"),
        (placed("ARG_MAX", 0), r"it looks along axis 0 of \[1, 16, 16\]"),
    ],
)
def test_other_places_are_refused(make: made.Make, said: str) -> None:
    with pytest.raises(UnsupportedOp, match=said):
        graph_of_tflite(made.written((1, 16, 16), make), "t")


def test_neg_is_refused_with_what_is_taken() -> None:
    data = made.written(MAP, made.unary("NEG", made.X, schema.NegOptionsT()))
    with pytest.raises(UnsupportedOp, match=r"negates codes whatever their scales, .* MUL by -1"):
        graph_of_tflite(data, "t")


def test_a_neg_of_the_least_code_is_that_code() -> None:
    graph = graph_of_tflite(LITERT_ALONE["neg"], "t")
    codes = np.arange(-128, 128).reshape(1, 4, 8, 8).astype(np.int8)
    np.testing.assert_array_equal(run(graph, codes).output.reshape(-1), -codes.reshape(-1))
    assert run(graph, codes).output.reshape(-1)[0] == -128


@pytest.mark.parametrize(
    ("shape", "make", "said"),
    [
        (MAP, summed(3), "adds 3 tensors, two are taken; an ADD of two at a time"),
        (MAP, summed(2), "inputs' zero point is not 0, which an ADD may have"),
        (MAP, summed(2, made.Y), "different scales, which an ADD may have"),
        (MAP, at_places([[0, 6]]), r"places outside \[1, 6\]"),
        (MAP, at_places([[0, -1]]), r"places outside \[1, 6\]"),
        (MAP, at_places([[0]]), "places have 1 numbers; 2 to 4 are taken"),
        (MAP, divided, "LiteRT's shifts by more bits than there are around zero; a MUL by a"),
    ],
)
def test_what_is_not_taken_says_what_is(shape: tuple[int, ...], make: made.Make, said: str) -> None:
    with pytest.raises(UnsupportedOp, match=said):
        graph_of_tflite(made.written(shape, make), "t")


def test_a_unit_norm_of_another_scale_is_refused() -> None:
    """TensorFlow Lite Micro would answer in steps of 1/128 whatever the file says."""
    unit = made.unary("L2_NORMALIZATION", Quant((1 / 64,), 0), schema.L2NormOptionsT())
    with pytest.raises(UnsupportedOp, match="scale is not 1/128 with zero point 0"):
        graph_of_tflite(made.written((1, 8), unit), "t")


def test_a_square_that_leaves_int32_is_refused() -> None:
    data = made.written((1, 4), squared("constant", Quant((1e-6,), 0)), Quant((0.5,), 0))
    with pytest.raises(UnsupportedOp, match="int32"):
        graph_of_tflite(data, "t")


def test_more_places_than_a_byte_has_are_refused() -> None:
    with pytest.raises(UnsupportedOp, match="ArgMax of 257 values; at most 256"):
        graph_of_tflite(made.written((1, 257), placed("ARG_MAX", 1)), "t")


def test_whole_numbers_that_are_no_places_are_no_output() -> None:
    def cast(sg: SubgraphWriter, x: Value) -> Value:
        y = sg.value("y", x.shape, "int32")
        types = schema.TensorType
        sg.op("CAST", [x], [y], schema.CastOptionsT(types.INT8, types.INT32))
        return y

    with pytest.raises(
        UnsupportedOp, match="output 'y' is int32; whole numbers are taken from ARG"
    ):
        graph_of_tflite(made.written((1, 8), cast), "t")


@pytest.mark.parametrize("name", ["place of the largest", "places of channels"])
def test_places_are_numbers_and_the_files_own(name: str) -> None:
    graph = graph_of_tflite(MORE[name], "t")
    assert graph.tensors[graph.outputs[0]].quant == OUTPUT_QUANT
    codes = input_rows(rng(5), graph, 8)
    wanted, real = run_plain_tflite(MORE[name], codes, codes)
    assert real.all()
    np.testing.assert_array_equal(run(graph, codes).output.reshape(8, -1) + 128.0, wanted)
    check = check_imported(
        MORE[name], graph, codes * graph.tensors[graph.inputs[0]].quant.per_tensor
    )
    assert check.passed, check.said

"""Ops that broadcast, join and move cells: real numbers, C on the host, ONNX Runtime and LiteRT."""

from pathlib import Path

import numpy as np
import pytest

from edgeq.emit.tflite_check import assert_tflm_dtypes, run_tflite
from edgeq.emit.tflite_model import tflite_model
from edgeq.errors import EdgeqError
from edgeq.ir import Graph
from edgeq.ops import OPS
from edgeq.ops.op import Array, quant_of
from edgeq.passes.verify import verify
from edgeq.reference import io_of, run
from tests.factory import input_rows
from tests.shape_cases import SHAPE_CASES, joined
from tests.unit.emit import test_firmware as c
from tests.unit.emit.test_onnx_model import int8_values

NAMED = pytest.mark.parametrize("name", SHAPE_CASES)
C_NAMES = [n for i, n in enumerate(SHAPE_CASES) if i % 3 == 0 or n == "concat in place"]


def real(graph: Graph, name: str, codes: Array) -> Array:
    quant = quant_of(graph.tensors[name])
    return (codes.astype(np.float64) - quant.zero_point) * quant.per_tensor


@NAMED
def test_each_node_is_the_float_op_within_a_step(name: str) -> None:
    graph = SHAPE_CASES[name]()
    values = run(graph, input_rows(np.random.default_rng(1), graph, 5)).values
    for node in graph.nodes:
        inputs = tuple(real(graph, n, values[n]) for n in node.inputs)
        params = {
            role: real(graph, n, graph.constants[n])
            for role, n in node.params.items()
            if graph.tensors[n].quant is not None
        }
        wanted = OPS[node.op].float_forward(node.attrs, inputs, params)
        quant = quant_of(graph.tensors[node.outputs[0]])
        steps = np.clip(wanted / quant.per_tensor + quant.zero_point, -128, 127)
        assert np.abs(values[node.outputs[0]] - steps).max() <= 1.01, node.name


@NAMED
def test_onnx_runtime_and_litert(name: str) -> None:
    graph = SHAPE_CASES[name]()
    x = input_rows(np.random.default_rng(2), graph, 4)
    values = int8_values(graph, x)
    for node in graph.nodes:
        inputs = tuple(values[n].astype(np.int8) for n in node.inputs)
        wanted = OPS[node.op].reference(node.attrs, io_of(graph, node), inputs, graph.params(node))
        assert np.abs(values[node.outputs[0]] - wanted.astype(int)).max() <= 1, node.name
    file = tflite_model(graph, "one")
    assert_tflm_dtypes(file)
    apart = np.abs(run_tflite(file, x).logits.astype(int) - run(graph, x).output)
    assert apart.max() <= 1


@pytest.mark.parametrize("name", C_NAMES)
def test_c_is_the_reference(name: str, tmp_path: Path) -> None:
    graph = SHAPE_CASES[name]()
    x = input_rows(np.random.default_rng(3), graph, 20)
    c.assert_equals_reference(graph, c.answers(c.compiled(graph, tmp_path, tmp_path), graph, x), x)


def test_an_input_in_another_scale_is_refused() -> None:
    graph = joined(0, (7,), 2)()
    wrong = graph.with_nodes(n for n in graph.nodes)
    kind = wrong.tensors["y"]
    other = type(kind)(kind.shape, kind.dtype, type(quant_of(kind))((0.2,), 3))
    with pytest.raises(EdgeqError, match="must share one scale"):
        verify(wrong.with_tensors({"y": other}), "lowered")

"""Norms of groups, PReLU and LogSoftmax: real numbers, C on the host, ONNX Runtime and LiteRT."""

from pathlib import Path

import numpy as np
import pytest

from edgeq.emit.tflite_check import assert_tflm_dtypes, run_tflite
from edgeq.emit.tflite_model import tflite_model
from edgeq.emit.tflite_rounding import STEPS_APART
from edgeq.ops.op import quant_of
from edgeq.passes.float_forward import run_float
from edgeq.reference import run
from tests.factory import input_rows
from tests.numeric_cases import NUMERIC_CASES, float_graph, rows_of
from tests.unit.emit import test_firmware as c
from tests.unit.emit.test_onnx_model import int8_values

NAMED = pytest.mark.parametrize("name", NUMERIC_CASES)


@NAMED
def test_it_is_the_float_op_within_a_step(name: str) -> None:
    graph, x = NUMERIC_CASES[name](), rows_of(name)
    quant, out = (quant_of(graph.tensors[n]) for n in (*graph.inputs, *graph.outputs))
    codes = np.clip(np.round(x / quant.per_tensor) + quant.zero_point, -128, 127).astype(np.int8)
    given = ((codes.astype(float) - quant.zero_point) * quant.per_tensor).astype(np.float32)
    wanted = run_float(float_graph(name), given).values["y"].astype(np.float64)
    steps = np.clip(wanted / out.per_tensor + out.zero_point, -128, 127)
    assert np.abs(run(graph, codes).output - steps).max() <= 1.01


@NAMED
def test_onnx_runtime(name: str) -> None:
    graph = NUMERIC_CASES[name]()
    x = input_rows(np.random.default_rng(2), graph, 4)[2:]
    got = int8_values(graph, x)[graph.outputs[0]]
    assert np.abs(got - run(graph, x).output.astype(int)).max() <= 1


@NAMED
def test_litert(name: str) -> None:
    graph = NUMERIC_CASES[name]()
    x = input_rows(np.random.default_rng(2), graph, 4)[2:]
    file = tflite_model(graph, "one")
    assert_tflm_dtypes(file)
    apart = np.abs(run_tflite(file, x).logits.astype(int) - run(graph, x).output)
    assert apart.max() <= STEPS_APART.get(graph.nodes[0].op, 0)


@NAMED
def test_c_is_the_reference(name: str, tmp_path: Path) -> None:
    graph = NUMERIC_CASES[name]()
    x = input_rows(np.random.default_rng(3), graph, 20)
    c.assert_equals_reference(graph, c.answers(c.compiled(graph, tmp_path, tmp_path), graph, x), x)


def test_what_fits_no_norm_is_said() -> None:
    from edgeq.ops import OPS
    from edgeq.ops.group_norm import GroupNorm

    sizes = {"gamma": np.zeros(6), "beta": np.zeros(6)}
    row = OPS["GroupNorm"]
    with pytest.raises(ValueError, match="4 groups"):
        row.result_shape(GroupNorm(4), ((3, 6),), sizes)
    with pytest.raises(ValueError, match="does not match gamma"):
        row.result_shape(GroupNorm(1), ((3, 5),), sizes)
    with pytest.raises(ValueError, match="at most 65536"):
        row.result_shape(GroupNorm(1), ((30_000, 6),), sizes)
    with pytest.raises(ValueError, match="last axes"):
        OPS["PRelu"].result_shape(None, ((3, 6),), {"slope": np.zeros(3)})

"""The operator table of TensorFlow Lite Micro refuses what it must refuse."""

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeq.emit import tflite_steps as step
from edgeq.emit.tflite_check import assert_tflm_dtypes, ops_used
from edgeq.emit.tflite_ops import bias_constant, fully_connected, weight_constant
from edgeq.emit.tflite_writer import ModelWriter, SubgraphWriter, Value
from edgeq.errors import UnsupportedOp
from edgeq.ir import Quant

Q = Quant((0.1,), 0)


def model_of(build: Any, dtype: str = "int8") -> bytes:
    """One subgraph: build(subgraph, input (1, 4)) -> output."""
    writer = ModelWriter()
    sg = writer.subgraph("main")
    x = sg.value("x", (1, 4), dtype, Q)
    y = build(sg, x)
    sg.finish([x], [y])
    return writer.to_bytes("t", {"input": x}, {"y": y}, {})


def one_op(op: str, result: str, dtype: str) -> bytes:
    def build(sg: SubgraphWriter, x: Value) -> Value:
        y = sg.value("y", x.shape, result, None if result == "bool" else Q)
        sg.op(op, [x, x], [y])
        return y

    return model_of(build, dtype)


def linear(channels: int, fmt: str) -> bytes:
    def build(sg: SubgraphWriter, x: Value) -> Value:
        quant = Quant((0.1,) * channels, 0, 0)
        weight = weight_constant(sg, "w", np.ones((3, 4), np.int8), quant, fmt)
        bias = bias_constant(sg, "b", np.zeros(3, np.int32), x.q, quant)
        return fully_connected(sg, "y", x, weight, bias, Q)

    return model_of(build)


@pytest.mark.parametrize(
    ("op", "result", "dtype", "why"),
    [
        ("GREATER", "bool", "int16", "GREATER y: input 0 is int16"),
        ("CONCATENATION", "int16", "int16", "CONCATENATION y: input 0 is int16"),
        ("GREATER", "int8", "int8", "output is int8"),
        ("ADD", "bool", "bool", "ADD y: input 0 is bool"),
        ("SQRT", "int8", "int8", "SQRT y: no such operator there"),
        ("CUSTOM", "int8", "int8", "CUSTOM y: no such operator there"),
        ("SUM", "int8", "int8", "SUM y: no such operator there"),
    ],
)
def test_refused(op: str, result: str, dtype: str, why: str) -> None:
    with pytest.raises(UnsupportedOp, match=why):
        assert_tflm_dtypes(one_op(op, result, dtype))


def test_int4_rules() -> None:
    assert_tflm_dtypes(linear(1, "s4"))
    assert_tflm_dtypes(linear(3, "s8"))
    with pytest.raises(UnsupportedOp, match="FULLY_CONNECTED y: int4 weights per channel"):
        assert_tflm_dtypes(linear(3, "s4"))


def test_int4_activations_are_refused() -> None:
    with pytest.raises(UnsupportedOp, match="input 0 is int4"):
        assert_tflm_dtypes(one_op("ADD", "int8", "int4"))
    with pytest.raises(UnsupportedOp, match="output is int4"):
        assert_tflm_dtypes(one_op("CONV_2D", "int4", "int8"))


def test_allowed() -> None:
    assert_tflm_dtypes(one_op("ADD", "int16", "int16"))
    assert_tflm_dtypes(one_op("GREATER", "bool", "int8"))
    model = model_of(lambda sg, x: step.mean(sg, "y", x, [1], Q))
    assert_tflm_dtypes(model)
    assert ops_used(model) == ("MEAN",)


def test_16_bit_weights_never_reach_a_file() -> None:
    with pytest.raises(UnsupportedOp, match="TFLite has no 16-bit weights: w"):
        linear(1, "s16")


def test_a_custom_operator_is_named() -> None:
    assert ops_used(one_op("CUSTOM", "int8", "int8")) == ("CUSTOM",)
    assert schema.BuiltinOperator.CUSTOM == 32

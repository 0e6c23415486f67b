"""16x8 files: a network to the firmware and back, what is refused, the arithmetic by hand."""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

import edgeq
from edgeq.board import load_board
from edgeq.compiled import compile_graph
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_check import assert_tflm_dtypes, run_plain_tflite
from edgeq.emit.tflite_model import tflite_model
from edgeq.errors import EdgeqError, ModelFile, UnsupportedOp
from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.ir import Quant, TensorType
from edgeq.ops import OPS, wide
from edgeq.ops.fixed_point import quantize_multiplier
from edgeq.ops.op import Io
from edgeq.ops.wide_ops import WideMeanPool2D
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.verify import verify
from edgeq.prove.firmware import check_on_twin, check_with
from edgeq.prove.forms import check_forms
from edgeq.prove.host import host_runner
from edgeq.reference import random_rows, real_inputs, run
from edgeq.toolchain import build, find_compiler, with_board
from tests import tflite_files as made
from tests import tflite_wide as files

DIGEST = "ab" * 32
Change = Callable[[Any], None]


@pytest.mark.full
def test_the_host_and_the_virtual_board_are_the_reference(tmp_path: Path) -> None:
    board = load_board("virtual_m4")
    graph = select_kernels(graph_of_tflite(files.NETWORK, "wide"), board.features)
    rows, compiled = random_rows(graph, 8, 3), compile_graph(graph, "wide", DIGEST)
    host = host_runner(compiled.graph, compiled.project, tmp_path / "host")
    check = check_with(compiled.graph, rows, host, "host")
    assert check.passed, check.said
    project = with_board(compiled.project, board)
    elf = build(project, board, find_compiler("auto"), tmp_path / "build", "-O2").elf
    check = check_on_twin(compiled.graph, rows, board, elf)
    assert check.passed, check.said


def test_its_files_are_a_step_beside_it_at_most() -> None:
    """The .tflite has the operators that TensorFlow Lite Micro takes, and comes back as it was."""
    graph = graph_of_tflite(files.NETWORK, "wide")
    rows = random_rows(graph, 20, 1)
    tflite = tflite_model(graph, "wide")
    assert_tflm_dtypes(tflite)
    for check in check_forms(
        graph, real_inputs(graph, rows), rows, onnx_model(graph, "w").SerializeToString(), tflite
    ):
        assert check.max_lsb is not None, check.said
        assert check.max_lsb <= 2, check.said
    again = graph_of_tflite(tflite, "wide")
    assert [n.op for n in again.nodes] == [n.op for n in graph.nodes]
    np.testing.assert_array_equal(run(again, rows).output, run(graph, rows).output)


@pytest.mark.full
def test_export_import_export_makes_one_firmware(tmp_path: Path) -> None:
    path = tmp_path / "wide.tflite"
    path.write_bytes(files.NETWORK)
    report = edgeq.export(path, "virtual_m4", tmp_path / "first")
    assert [c["passed"] for c in report["checks"]] == [True] * len(report["checks"])
    assert [port["dtype"] for port in (*report["inputs"], *report["outputs"])] == ["int16"] * 2
    edgeq.export(tmp_path / "first" / "model.tflite", "virtual_m4", tmp_path / "again")
    one, two = (
        graph_of_tflite((tmp_path / name).read_bytes(), "w")
        for name in ("wide.tflite", "again/model.tflite")
    )
    for mine, theirs in zip(one.nodes, two.nodes, strict=True):
        for role in mine.params:
            np.testing.assert_array_equal(one.param(mine, role), two.param(theirs, role))


def test_a_depthwise_layer_without_bias_is_litert_s() -> None:
    graph = graph_of_tflite(files.DEPTHWISE_ALONE, "t")
    rows = random_rows(graph, 6)
    got, _ = run_plain_tflite(files.DEPTHWISE_ALONE, rows, real_inputs(graph, rows))
    assert np.abs(got - run(graph, rows).output.reshape(got.shape)).max() <= 1


def constant(index: int, values: Any) -> Change:
    def change(model: Any) -> None:
        tensor = model.subgraphs[0].tensors[index]
        tensor.type = {"int4": schema.TensorType.INT4, "int32": schema.TensorType.INT32}[values]

    return change


def quantised(index: int, **fields: Any) -> Change:
    def change(model: Any) -> None:
        for name, value in fields.items():
            setattr(model.subgraphs[0].tensors[index].quantization, name, value)

    return change


def typed_int8(index: int) -> Change:
    return lambda m: setattr(m.subgraphs[0].tensors[index], "type", schema.TensorType.INT8)


DENSE, CONV = files.LAYERS["dense"], files.LAYERS["conv"]
REFUSED: dict[str, tuple[bytes, Change, str]] = {
    "weights of 4 bits": (CONV, constant(1, "int4"), "its weights are int4; .* int8 is taken"),
    "a bias of 32 bits": (DENSE, constant(2, "int32"), r"its bias is int32\[7\], not int64"),
    "weights off zero": (CONV, quantised(1, zeroPoint=[3] * 5), "zero point that is not 0"),
    "an output of int8": (DENSE, typed_int8(3), "'y' is int8, not int16"),
    "an output off zero": (DENSE, quantised(3, zeroPoint=[4]), "int16 and its zero point is not 0"),
    "scales": (
        CONV,
        quantised(1, scale=[0.1, 0.2], zeroPoint=[0, 0]),
        "2 weight scales for 5 outputs",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_kernel_is_refused(name: str) -> None:
    data, change, said = REFUSED[name]
    with pytest.raises(UnsupportedOp, match=said):
        graph_of_tflite(made.changed(data, change), "t")


def test_sums_that_leave_their_type_are_refused() -> None:
    """32 bits of a CONV_2D with such a bias; 31 of what 64 bits are requantised to."""
    weight = files.conv((5, 3, 3, 150), made.conv_options(made.SAME, 1), (4, 4), bias="int32")
    with pytest.raises(UnsupportedOp, match="accumulator can reach"):
        graph_of_tflite(files.written((1, 4, 4, 150), weight), "t")
    for bias in (1 << 45, 1 << 50, 1 << 62):
        with pytest.raises(UnsupportedOp, match="accumulator can reach"):
            graph_of_tflite(files.written((1, 9), files.dense(9, 5, largest=bias)), "t")


@pytest.mark.parametrize("bias", [-(2**63), 2**63 - 1])
def test_a_bias_at_the_end_of_its_type_is_refused(bias: int) -> None:
    """Its size would not fit the type itself."""

    def change(model: Any) -> None:
        buffer = model.buffers[model.subgraphs[0].tensors[2].buffer]
        buffer.data = np.frombuffer(np.full(7, bias, "<i8").tobytes(), np.uint8)

    with pytest.raises(UnsupportedOp, match="accumulator can reach"):
        graph_of_tflite(made.changed(DENSE, change), "t")


def test_a_scale_that_grows_too_far_is_refused() -> None:
    """TensorFlow Lite's own bound: 2^7."""
    with pytest.raises(ModelFile, match=r"a scale grows by 2\^9; 2\^7 is the most"):
        graph_of_tflite(made.changed(DENSE, quantised(3, scale=[2e-9])), "t")


@given(
    st.integers(-(2**46), 2**46), st.floats(2.0**-30, 100.0, allow_nan=False, allow_infinity=False)
)
def test_a_sum_is_multiplied_once(acc: int, real: float) -> None:
    """Beside whole numbers without a width: 15 bits of multiplier, half a step upward."""
    multiplier, shift = quantize_multiplier(real)
    cut = min((multiplier + 2**15) // 2**16, 0x7FFF)
    wanted = (acc * cut + 2 ** (14 - shift)) // 2 ** (15 - shift)
    numbers = wide.integers(np.array([real]), "int64")
    assert numbers["multiplier"][0] == cut
    got = wide.multiply_once(np.array([acc]), numbers["multiplier"], numbers["shift"])
    assert got[0] == wanted
    assert abs(wanted - acc * real) <= 0.5 + abs(acc * real) * 2**-14


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=20), st.integers(1, 4))
def test_a_mean_is_rounded_half_away_from_zero(codes: list[int], columns: int) -> None:
    rows = max(len(codes) // columns, 1)
    cells = np.resize(np.array(codes, np.int16), (1, rows, columns, 1))
    attrs = WideMeanPool2D((rows, columns), (1, 1))
    kind = TensorType((1, 1, 1), "int16", Quant((0.1,), 0))
    io = Io((TensorType((rows, columns, 1), "int16", Quant((0.1,), 0)),), kind)
    got = OPS["WideMeanPool2D"].reference(attrs, io, (cells,), {}).reshape(-1)
    exact = Fraction(int(cells.astype(int).sum()), cells.size)
    away = math.floor(abs(exact) + Fraction(1, 2))
    assert got.dtype == np.int16
    assert got[0] == (away if exact >= 0 else -away)


MORE_REFUSED: dict[str, tuple[bytes, str]] = {
    "a max pool with relu": (
        files.written(
            files.MAP, files.pooled("MAX_POOL_2D", made.pool_options(made.VALID, 2, 1, 1), (6, 5))
        ),
        "fused activation relu, which is taken on int8",
    ),
    "a scale between int16": (
        files.written(files.MAP, files.rescaled("int16", files.Y16)),
        "its input and output have different scales",
    ),
    "a pool of another scale": (
        made.changed(files.OTHERS["mean pool"], quantised(1, scale=[0.3])),
        "its input and output have different scales",
    ),
}


@pytest.mark.parametrize("name", MORE_REFUSED)
def test_other_operators_without_a_kernel_are_refused(name: str) -> None:
    data, said = MORE_REFUSED[name]
    with pytest.raises(UnsupportedOp, match=said):
        graph_of_tflite(data, "t")


@pytest.mark.parametrize(
    ("op", "said"),
    [("Widen", "Widen takes int8 to int16"), ("WideAdd", "not a quantised int16 one")],
)
def test_types_that_do_not_meet_are_refused(op: str, said: str) -> None:
    graph = graph_of_tflite(files.OTHERS["widen" if op == "Widen" else "add"], "t")
    node = next(n for n in graph.nodes if n.op == op)
    name = node.outputs[0]
    wrong = graph.with_tensors({name: replace(graph.tensors[name], dtype="int8")})
    with pytest.raises((EdgeqError, UnsupportedOp), match=said):
        verify(wrong, "lowered")

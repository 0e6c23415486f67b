"""int16 activations: ports, a state and a rescaling kernel, on the host and the virtual board."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import edgeq
from edgeq.board import load_board
from edgeq.compiled import compile_graph
from edgeq.emit.onnx_model import onnx_model
from edgeq.emit.tflite_model import tflite_model
from edgeq.errors import EdgeqError, UnsupportedOp
from edgeq.frontend.tflite_loader import graph_of_tflite
from edgeq.ir import Graph, Quant, TensorType
from edgeq.ops.fixed_point import quantize_multipliers
from edgeq.ops.narrow import OP, Narrow
from edgeq.ops.op import Io
from edgeq.passes.verify import verify
from edgeq.prove.firmware import check_on_twin, check_with
from edgeq.prove.forms import check_forms
from edgeq.prove.host import host_runner
from edgeq.reference import quantize_rows, random_rows, real_inputs, run
from edgeq.toolchain import build, find_compiler, with_board
from tests.port_graphs import of_ids, wide_delay, wide_input

DIGEST = "ab" * 32
GRAPHS = [wide_input, wide_delay, of_ids]
Make = Callable[[], Graph]


@example(2.0, 0, 1)  # a quarter becomes a half, and that one
@given(st.floats(-3, 10), st.integers(-128, 127), st.integers(-(2**15), 2**15 - 1))
def test_narrow_is_the_nearest_step(power: float, zero: int, code: int) -> None:
    """Rounded twice, as in TensorFlow Lite Micro: the product, then what is shifted."""
    scale = 0.001 * 2.0**power
    io = Io(
        (TensorType((1,), "int16", Quant((0.001,))),),
        TensorType((1,), "int8", Quant((scale,), zero)),
    )
    multiplier, shift = quantize_multipliers([0.001 / scale])
    params = {"multiplier": multiplier, "shift": shift}
    (got,) = OP.reference(Narrow(), io, (np.array([[code]], np.int16),), params)[0]
    wanted = np.clip(code * 0.001 / scale + zero, -128, 127)
    before = 0.5 * 2.0 ** int(shift[0]) if shift[0] < 0 else 0.0  # of the product, shifted with it
    assert abs(int(got) - wanted) <= 0.5 + before + 1e-6


@pytest.mark.parametrize("make", GRAPHS)
def test_codes_are_int16(make: Make) -> None:
    graph = verify(make(), "lowered")
    rows = random_rows(graph, 9)
    assert rows.dtype == np.int16
    assert np.abs(rows.astype(int)).max() > 1000
    np.testing.assert_array_equal(quantize_rows(graph, real_inputs(graph, rows)), rows)
    assert run(graph, rows).output.dtype == (np.int16 if make is wide_delay else np.int8)


@pytest.mark.parametrize("make", GRAPHS)
def test_the_host_and_the_virtual_board_are_the_reference(make: Make, tmp_path: Path) -> None:
    graph, board = make(), load_board("virtual_m4")
    rows, compiled = random_rows(graph, 12, 3), compile_graph(make(), "wide", DIGEST)
    host = host_runner(graph, compiled.project, tmp_path / "host")
    check = check_with(graph, rows, host, "host")
    assert check.passed, check.said
    project = with_board(compiled.project, board)
    elf = build(project, board, find_compiler("auto"), tmp_path / "build", "-O2").elf
    check = check_on_twin(graph, rows, board, elf)
    assert check.passed, check.said
    assert check.samples >= 8


@pytest.mark.parametrize("make", GRAPHS)
def test_onnx_and_tflite(make: Make) -> None:
    graph = make()
    rows = random_rows(graph, 20, 1)
    files = onnx_model(graph, "wide").SerializeToString(), tflite_model(graph, "wide")
    for check in check_forms(graph, real_inputs(graph, rows), rows, *files):
        assert check.max_lsb is not None, check.said
        assert check.max_lsb <= 1, check.said


def test_an_int16_file_is_imported_and_exported(tmp_path: Path) -> None:
    path, graph = tmp_path / "wide.tflite", wide_input()
    path.write_bytes(tflite_model(graph, "wide"))
    rows = random_rows(graph, 20)
    again = graph_of_tflite(path.read_bytes(), "wide")
    np.testing.assert_array_equal(run(again, rows).output, run(graph, rows).output)
    report = edgeq.export(path, "virtual_m4", tmp_path / "out")
    assert report["inputs"][0]["dtype"] == "int16"
    checks = {check["name"]: check["passed"] for check in report["checks"]}
    assert checks["firmware"]
    assert checks["model"]


def test_types_that_do_not_meet_are_refused() -> None:
    graph = wide_input()
    narrow = next(n for n in graph.nodes if n.op == "Narrow")
    small = graph.with_tensors({"sound": replace(graph.tensors["sound"], dtype="int8")})
    with pytest.raises(UnsupportedOp, match="Narrow takes int16 to int8, not int8 to int8"):
        verify(small, "lowered")
    direct = replace(graph, inputs=narrow.outputs, nodes=graph.nodes[1:])
    wide = direct.with_tensors({"small": graph.tensors["sound"]})
    with pytest.raises(EdgeqError, match="not a quantised int8 one"):
        verify(wide, "lowered")

"""Quantised .onnx files: their scales are kept, answers are ONNX Runtime's within one step."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnxruntime.quantization import QuantType

import edgeq
from edgeq.arrays import CHANNELS_FIRST, model_rows
from edgeq.emit.onnx_model import onnx_model
from edgeq.errors import UnsupportedOp
from edgeq.frontend.onnx_file import parse
from edgeq.frontend.onnx_loader import Imported, imported
from edgeq.frontend.torch_loader import graph_of
from edgeq.ir import Graph, Quant
from edgeq.ops.op import quant_of
from edgeq.passes import quantize
from edgeq.reference import quantize_rows, run
from tests import onnx_quantized as made

Array = np.ndarray[Any, Any]


def read(data: bytes) -> Imported:
    return imported(parse(data, Path("/nowhere")), "net")


def rows_of(found: Imported, rows: int = 40) -> Array:
    x = np.random.default_rng(1).normal(size=(rows, *found.input_shape))
    return x.astype(np.float32)


def runtime(data: bytes, x: Array, name: str = "x") -> Array:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # its fused kernels' u8 x s8 sums saturate in 16 bits where the processor has no VNNI
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {name: row[None]})[0] for row in x])


def apart(data: bytes, x: Array, graph: Graph, layout: str, shape: tuple[int, ...]) -> Array:
    """How far the integers' answers are from the file's, in steps of the output."""
    rows = model_rows(x, shape, "rows", layout)
    got = run(graph, quantize_rows(graph, rows)).output.astype(float)
    got = got.transpose(0, 3, 1, 2) if layout == CHANNELS_FIRST and got.ndim == 4 else got
    out, wanted = quant_of(graph.tensors[graph.outputs[0]]), runtime(data, x)
    steps = wanted / out.per_tensor + out.zero_point
    return np.asarray(np.abs(got.reshape(steps.shape) - steps))


def lowered(found: Imported) -> Graph:
    """Calibrated on rows that say nothing: the file has every scale."""
    x = 1e-3 * rows_of(found, 2)
    return quantize(
        found.graph, model_rows(x, found.input_shape, "rows", found.layout), "minmax"
    ).graph


@pytest.mark.parametrize("kind", [QuantType.QInt8, QuantType.QUInt8], ids=["int8", "uint8"])
@pytest.mark.parametrize("name", ["plain", "residual"])
def test_onnx_runtimes_files(name: str, kind: QuantType, tmp_path: Path) -> None:
    data = made.static(name, tmp_path, kind)
    found = read(data)
    assert found.settled
    layers = [n for n in found.graph.nodes if "weight" in n.params]
    assert all(found.graph.tensors[n.params["weight"]].quant for n in layers)
    steps = apart(data, rows_of(found), lowered(found), found.layout, found.input_shape)
    assert steps.max() <= 1.01


def test_a_deeper_file(tmp_path: Path) -> None:
    """A step that one layer rounds another way is more than one behind the next layers, seldom."""
    data = made.static("unet", tmp_path, QuantType.QInt8)
    found = read(data)
    steps = apart(data, rows_of(found), lowered(found), found.layout, found.input_shape)
    assert (steps > 1.01).mean() < 0.001
    assert steps.max() <= 2.01


def test_what_is_joined_is_rounded_once(tmp_path: Path) -> None:
    """Rounded twice, an eighth of the codes in front of the Concat were a step off."""
    graph = lowered(read(made.static("unet", tmp_path, QuantType.QInt8)))
    (node,) = (n for n in graph.nodes if n.op == "Rescale")
    given, out = (quant_of(graph.tensors[n]) for n in (*node.inputs, *node.outputs))
    real = (np.arange(-128, 128) - given.zero_point) * given.per_tensor / out.per_tensor
    nearest = np.clip(real + out.zero_point, -128, 127)
    assert np.abs(graph.param(node, "table") - nearest).max() <= 0.5


@pytest.mark.parametrize("name", ["residual", "unet"])
def test_nothing_but_the_rounding_differs(name: str, tmp_path: Path) -> None:
    """ONNX Runtime answers a file and what an export of it writes alike, to the bit of a step."""
    data = made.static(name, tmp_path, QuantType.QInt8)
    found = read(data)
    graph, x = lowered(found), rows_of(found)
    written = onnx_model(graph, "net").SerializeToString()
    step = quant_of(graph.tensors[graph.outputs[0]]).per_tensor
    apart_by = np.abs(runtime(written, x, "input") - runtime(data, x)) / step
    assert apart_by.max() < 0.01


@pytest.mark.parametrize("form", [made.brevitas, made.pt2e])
def test_four_bits(form: Any) -> None:
    """Brevitas' and PT2E's forms: the weights travel in 4 bits, activations with their zero."""
    data = form()
    found = read(data)
    formats = [n.attrs.weight_format for n in found.graph.nodes if "weight" in n.params]
    assert formats == ["s4", "s4"]
    assert found.settled
    steps = apart(data, rows_of(found), lowered(found), found.layout, found.input_shape)
    assert steps.max() <= 1.01


def test_scales_are_those_of_the_file() -> None:
    graph = lowered(read(made.pt2e()))
    quants = [quant_of(graph.tensors[n]) for n in (*graph.inputs, *graph.outputs)]
    assert quants == [Quant((0.02500000037252903,), -9), Quant((0.05000000074505806,), 17)]


def test_a_model_of_it_needs_no_rows_and_keeps_its_codes(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(made.brevitas())
    model = edgeq.from_onnx(tmp_path / "net.onnx")
    edgeq.save(model, tmp_path / "model.pt")
    again = graph_of(edgeq.load(tmp_path / "model.pt"))
    for layer in (n for n in again.nodes if "weight" in n.params):
        assert np.abs(again.param(layer, "weight")).max() <= 7
    report = edgeq.export(tmp_path / "net.onnx", "virtual_m4", tmp_path / "out")
    assert [c["name"] for c in report["checks"] if not c["passed"]] == []
    assert {row["weight_format"] for row in report["layers"]} >= {"s4"}


def test_eight_bits_stay_eight(tmp_path: Path) -> None:
    """Kinds of fewer bits travel in int8, too; a file's int8 weights are not taken for them."""
    (tmp_path / "net.onnx").write_bytes(made.static("features", tmp_path, QuantType.QInt8))
    model = edgeq.from_onnx(tmp_path / "net.onnx")
    x = rows_of(read((tmp_path / "net.onnx").read_bytes()), 8)
    wanted = runtime((tmp_path / "net.onnx").read_bytes(), x)
    assert np.abs(model.predict(x)[0] - wanted).max() < 0.02


def refusal(data: bytes) -> str:
    with pytest.raises(UnsupportedOp) as caught:
        read(data)
    return str(caught.value)


def test_what_is_not_taken_is_said() -> None:
    assert "codes of int16" in refusal(made.one(np.int16(0), np.float32(0.1)))
    assert "3 scales" in refusal(made.one(np.zeros(3, np.int8), np.ones(3, np.float32)))
    assert "is codes" in refusal(made.on_codes())
    w = made.Writer()
    x = w.node("QuantizeLinear", ["x", w.constant(np.float32(0.1)), w.constant(np.int8(0))])
    w.node("DequantizeLinear", [x, w.constant(np.float32(0.2)), w.constant(np.int8(0))], "y0")
    assert "not that of its QuantizeLinear" in refusal(w.file())

"""Embeddings from TensorFlow Lite, ONNX and PyTorch: rows of a table by an input of ids."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

import edgeq
from edgeq.emit.tflite_check import run_plain_tflite
from edgeq.emit.tflite_model import tflite_model
from edgeq.emit.tflite_writer import TENSOR_TYPE, ModelWriter
from edgeq.errors import UnsupportedOp
from edgeq.frontend.onnx_file import parse
from edgeq.frontend.onnx_loader import imported
from edgeq.frontend.tflite_loader import graph_of_tflite, seeded_rows
from edgeq.ir import Graph, Quant
from edgeq.passes import quantize
from edgeq.prove.imported import check_imported
from edgeq.reference import quantize_rows, run
from tests import port_graphs
from tests import tflite_files as made

WORDS, WIDTH, LENGTH = 11, 6, 5
TABLE = np.random.default_rng(0).normal(size=(WORDS, WIDTH)).astype(np.float32)
IDS = np.random.default_rng(1).integers(0, WORDS, (40, LENGTH))
HERE = Path(__file__).parent


def of_words(op: str = "GATHER", *, cast: bool = False, rows: bool = True) -> bytes:
    """Codes of words, and a layer of them; ids are int32, or int64 that are cast."""
    model = ModelWriter()
    sg = model.subgraph("main")
    ids = x = sg.value("ids", (1, LENGTH), "int32")
    if cast:
        ids = sg.value("cast", x.shape, "int32")
        types = schema.TensorType
        sg.op("CAST", [x], [ids], schema.CastOptionsT(types.INT32, types.INT32))
    if op == "EMBEDDING_LOOKUP":
        x2 = sg.value("flat", (LENGTH,), "int32")
        sg.op("RESHAPE", [ids], [x2], schema.ReshapeOptionsT(newShape=[LENGTH]))
        ids = x2
    codes = np.random.default_rng(2).integers(-128, 128, (WORDS, WIDTH)).astype(np.int8)
    quant = Quant((0.02,), -3)
    table = sg.constant("table", codes, quant)
    shape = (*ids.shape, WIDTH)
    y = sg.value("rows", shape, "int8", quant)
    if op == "GATHER":
        sg.op(op, [table, ids], [y], schema.GatherOptionsT())
    else:
        sg.op(op, [ids, table], [y], None)
    if rows:
        y = made.dense(LENGTH * WIDTH, 4)(sg, y)
    sg.finish([x], [y])
    return model.to_bytes("made by a test", {"ids": x}, {"logits": y}, {})


@pytest.mark.parametrize("cast", [False, True])
def test_rows_of_a_tflite_file(cast: bool) -> None:
    data = of_words(cast=cast, rows=False)
    graph = graph_of_tflite(data, "t")
    wanted, _ = run_plain_tflite(data, IDS, IDS)
    got = run(graph, quantize_rows(graph, IDS.astype(np.float32))).output
    np.testing.assert_array_equal(got.reshape(40, -1), wanted)


def test_its_proof_asks_for_no_row_beyond_the_table() -> None:
    data = of_words()
    graph = graph_of_tflite(data, "t")
    rows = seeded_rows(graph)
    assert (rows >= 0).all()
    assert (rows < WORDS).all()
    check = check_imported(data, graph, rows)
    assert check.passed, check.said


def test_what_an_export_writes_comes_back() -> None:
    graph = port_graphs.of_ids()
    back = graph_of_tflite(tflite_model(graph, "net"), "net")
    assert [n.op for n in back.nodes if n.op != "Reshape"] == ["Embedding"]
    x = np.arange(-3, 12).astype(np.int16).reshape(3, 5)  # below and beyond the table, too
    np.testing.assert_array_equal(run(back, x).output, run(graph, x).output)


def classifier(kind: int = TensorProto.INT64, *, index: str = "ids") -> bytes:
    """A mean of words' rows, and a layer."""
    weight = np.random.default_rng(3).normal(size=(WIDTH, 3)).astype(np.float32)
    held = {"table": TABLE, "w": weight, "axes": np.array([1])}
    nodes = [
        helper.make_node("Cast", ["ids"], ["cast"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", index], ["rows"], name="words"),
        helper.make_node("ReduceMean", ["rows", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("ids", kind, (1, LENGTH))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(v, n) for n, v in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def _quantized(graph: Graph) -> Graph:
    return quantize(graph, IDS.astype(np.float32), "minmax").graph


@pytest.mark.parametrize("index", ["ids", "cast"])
def test_rows_of_an_onnx_file(index: str) -> None:
    import onnxruntime

    data = classifier(index=index)
    graph = _quantized(imported(parse(data, HERE), "t").graph)
    session = onnxruntime.InferenceSession(data)
    wanted = np.concatenate([session.run(None, {"ids": row[None]})[0] for row in IDS])
    kind = graph.tensors[graph.outputs[0]].quant
    assert kind is not None
    codes = run(graph, quantize_rows(graph, IDS.astype(np.float32))).output
    assert (
        np.abs((codes.astype(float) - kind.zero_point) * kind.per_tensor - wanted).max()
        < 4 * kind.per_tensor
    )


class Words(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = torch.nn.Embedding(WORDS, WIDTH, padding_idx=0)
        self.conv = torch.nn.Conv1d(WIDTH, 8, 3, padding=1)
        self.out = torch.nn.Linear(8, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv(self.words(ids).transpose(1, 2)))
        return self.out(x.mean(-1))


def test_a_torch_module_of_words_is_trained_saved_and_exported(tmp_path: Path) -> None:
    model = edgeq.from_torch(Words(), torch.from_numpy(IDS[:2]), calibration=IDS)
    edgeq.save(model, tmp_path / "model.pt")
    report = edgeq.export(tmp_path / "model.pt", "virtual_m4", tmp_path / "out")
    assert all(check["passed"] for check in report["checks"]), report["checks"]
    (given,) = report["inputs"]
    assert given["dtype"] == "int16"


def test_ids_that_are_computed_with_are_refused() -> None:
    model = onnx.load_from_string(classifier())
    model.graph.node[3].output[0] = "made"
    numbers = helper.make_node("Cast", ["ids"], ["numbers"], to=TensorProto.FLOAT)
    first = helper.make_node("ReduceMean", ["numbers", "axes"], ["mean of ids"])
    model.graph.node.extend(
        [numbers, first, helper.make_node("Mul", ["made", "mean of ids"], ["y"])]
    )
    with pytest.raises(UnsupportedOp, match="computes with the ids of"):
        imported(parse(model.SerializeToString(), HERE), "t")


def test_rows_that_no_calibration_row_asks_for_are_held_too() -> None:
    graph = imported(parse(classifier(), HERE), "t").graph
    made = quantize(graph, np.array([[1.0, 1, 1, 1, 2]] * 3, np.float32), "minmax").graph
    node = next(n for n in made.nodes if n.op == "Embedding")
    kind = made.tensors[node.outputs[0]].quant
    assert kind is not None
    real = (made.param(node, "table").astype(float) - kind.zero_point) * kind.per_tensor
    assert np.abs(real - TABLE).max() <= kind.per_tensor / 2 * 1.001


def test_whole_numbers_that_choose_no_rows_are_refused() -> None:
    model = onnx.load_from_string(classifier(TensorProto.INT32))
    del model.graph.node[:]
    numbers = helper.make_node("Cast", ["ids"], ["numbers"], to=TensorProto.FLOAT)
    model.graph.node.extend([numbers, helper.make_node("Relu", ["numbers"], ["y"])])
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = LENGTH
    with pytest.raises(UnsupportedOp, match="whole numbers, not float32; no Gather reads rows"):
        imported(parse(model.SerializeToString(), HERE), "t")


def test_a_float_tflite_file_of_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TENSOR_TYPE, "float32", schema.TensorType.FLOAT32)
    model = ModelWriter()
    sg = model.subgraph("main")
    x = sg.value("ids", (1, LENGTH), "int32")
    flat = sg.value("flat", (LENGTH,), "int32")
    sg.op("RESHAPE", [x], [flat], schema.ReshapeOptionsT(newShape=[LENGTH]))
    y = sg.value("y", (LENGTH, WIDTH), "float32")
    sg.op("GATHER", [sg.constant("table", TABLE), flat], [y], schema.GatherOptionsT())
    z = sg.value("z", (1, LENGTH * WIDTH), "float32")
    sg.op("RESHAPE", [y], [z], schema.ReshapeOptionsT(newShape=[1, LENGTH * WIDTH]))
    out = sg.value("out", (1, LENGTH * WIDTH), "float32")
    sg.op("TANH", [z], [out])
    sg.finish([x], [out])
    path = tmp_path / "words.tflite"
    path.write_bytes(model.to_bytes("made by a test", {"ids": x}, {"y": out}, {}))
    with torch.no_grad():
        got = edgeq.from_tflite(path)(torch.from_numpy(IDS)).numpy()
    np.testing.assert_allclose(got, np.tanh(TABLE[IDS].reshape(40, -1)), atol=1e-6)

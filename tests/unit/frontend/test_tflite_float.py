"""Float .tflite files: the graph answers as LiteRT does, then they are quantised as others are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import edgeq
from edgeq.emit.tflite_writer import TENSOR_TYPE, ModelWriter, SubgraphWriter, Value
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.frontend.tflite_loader import is_float
from edgeq.verbs import imported_ops
from tests import tflite_files as made

SHAPE = (1, 9, 8, 3)


@pytest.fixture(autouse=True)
def _floats(monkeypatch: pytest.MonkeyPatch) -> None:
    """edgeq itself writes integers alone."""
    monkeypatch.setitem(TENSOR_TYPE, "float32", schema.TensorType.FLOAT32)


def _weights(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape, scale=0.4).astype(np.float32)


def _layer(
    sg: SubgraphWriter, op: str, x: Value, weight: Any, out: tuple[int, ...], options: Any
) -> Value:
    y = sg.value("y", out, "float32")
    constants = [sg.constant("w", weight), sg.constant("b", _weights(out[-1]))]
    sg.op(op, [x, *constants], [y], options)
    return y


def _then(sg: SubgraphWriter, op: str, xs: list[Value], out: Any, options: Any = None) -> Value:
    y = sg.value(op, out, "float32")
    sg.op(op, xs, [y], options)
    return y


def _net(last: str = "SOFTMAX", activation: int = made.RELU6) -> bytes:
    """Padding at one end, a depth multiplier, joined pools, a mean, a layer of features."""
    model = ModelWriter()
    sg = model.subgraph("main")
    x = sg.value("x", SHAPE, "float32")
    options = made.conv_options(made.SAME, 2, activation)
    y = _layer(sg, "CONV_2D", x, _weights(6, 3, 3, 3), (1, 5, 4, 6), options)
    wide = made.depthwise_options(made.SAME, 1, 2, made.RELU)
    z = _layer(sg, "DEPTHWISE_CONV_2D", y, _weights(1, 3, 3, 12), (1, 5, 4, 12), wide)
    by = sg.constant("by", np.array([[0, 0], [0, 0], [0, 0], [2, 4]], np.int32))
    y = _then(sg, "PAD", [y, by], (1, 5, 4, 12), schema.PadOptionsT())
    y = _then(sg, "ADD", [y, z], (1, 5, 4, 12), schema.AddOptionsT())
    y = _then(sg, "TANH", [y], (1, 5, 4, 12))
    pool = made.pool_options(made.VALID, 2, 2)
    parts = [_then(sg, f"{kind}_POOL_2D", [y], (1, 2, 2, 12), pool) for kind in ("MAX", "AVERAGE")]
    y = _then(sg, "CONCATENATION", parts, (1, 2, 2, 24), schema.ConcatenationOptionsT(axis=3))
    axes = sg.constant("axes", np.array([1, 2], np.int32))
    y = _then(sg, "MEAN", [y, axes], (1, 24), schema.ReducerOptionsT(keepDims=False))
    dense = schema.FullyConnectedOptionsT()
    y = _layer(sg, "FULLY_CONNECTED", y, _weights(5, 24), (1, 5), dense)
    y = _then(sg, last, [y], (1, 5), schema.SoftmaxOptionsT(beta=1.0))
    sg.finish([x], [y])
    return model.to_bytes("made by a test", {"input": x}, {"logits": y}, {})


def _litert(data: bytes, x: Any) -> Any:
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    answers = []
    for row in x:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], row[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.stack(answers)


X = np.random.default_rng(0).normal(size=(48, *SHAPE[1:])).astype(np.float32)


def test_the_graph_answers_as_litert(tmp_path: Path) -> None:
    data = _net()
    assert is_float(data)
    (tmp_path / "net.tflite").write_bytes(data)
    model = edgeq.from_tflite(tmp_path / "net.tflite")
    assert (model.layout, model.input_shape) == ("channels last", SHAPE[1:])
    with torch.no_grad():
        got = model(torch.from_numpy(X[:8])).numpy()
    np.testing.assert_allclose(got, _litert(data, X[:8]), atol=1e-5)


OPS: dict[str, tuple[Any, Any, tuple[int, ...]]] = {
    "LOG_SOFTMAX": (None, schema.LogSoftmaxOptionsT(), (1, 8, 8, 4)),
    "PRELU": (_weights(1, 1, 4), None, (1, 8, 8, 4)),
    "TILE": (np.array([1, 2, 1, 3], np.int32), None, (1, 16, 8, 12)),
    "DEPTH_TO_SPACE": (None, schema.DepthToSpaceOptionsT(2), (1, 16, 16, 1)),
    "SPACE_TO_DEPTH": (None, schema.SpaceToDepthOptionsT(4), (1, 2, 2, 64)),
}


@pytest.mark.parametrize("op", OPS)
def test_one_operator_behind_a_layer(op: str, tmp_path: Path) -> None:
    second, options, out = OPS[op]
    model = ModelWriter()
    sg = model.subgraph("main")
    x = sg.value("x", (1, 8, 8, 3), "float32")
    weight, window = _weights(4, 1, 1, 3), made.conv_options(made.VALID, 1)
    y = _layer(sg, "CONV_2D", x, weight, (1, 8, 8, 4), window)
    more = [] if second is None else [sg.constant("more", second)]
    y = _then(sg, op, [y, *more], out, options)
    sg.finish([x], [y])
    data = model.to_bytes("made by a test", {"input": x}, {"logits": y}, {})
    (tmp_path / "one.tflite").write_bytes(data)
    rows = np.random.default_rng(1).normal(size=(3, 8, 8, 3)).astype(np.float32)
    with torch.no_grad():
        got = edgeq.from_tflite(tmp_path / "one.tflite")(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(got, _litert(data, rows), atol=1e-5)


def test_it_is_exported_with_a_calibration_set(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(_net())
    np.savez(tmp_path / "x.npz", x=X)
    with pytest.raises(BadInput, match="stores no calibration set; pass --calibration"):
        edgeq.export(tmp_path / "net.tflite", "cortex-m4", tmp_path / "out")
    report = edgeq.export(
        tmp_path / "net.tflite", "cortex-m4", tmp_path / "out", tmp_path / "x.npz", weights="int4"
    )
    assert all(check["passed"] for check in report["checks"]), json.dumps(report["checks"])
    again = edgeq.verify(
        tmp_path / "out", model=tmp_path / "net.tflite", calibration=tmp_path / "x.npz"
    )
    assert again["passed"]


def test_what_is_refused_is_named_and_listed(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(_net(last="L2_NORMALIZATION", activation=4))
    with pytest.raises(UnsupportedOp) as error:
        edgeq.from_tflite(path)
    assert "node 0 CONV_2D (y): it has fused activation 4" in str(error.value)
    assert "L2_NORMALIZATION (L2_NORMALIZATION): it is not supported" in str(error.value)
    nodes = imported_ops(path)["nodes"]
    assert [n["taken"] for n in nodes] == [False, *[True] * 9, False]
    assert nodes[0]["op"] == "CONV_2D"


def test_integers_are_no_float_model(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(next(iter(made.TAKEN.values())))
    with pytest.raises(BadInput, match="holds integers already"):
        edgeq.from_tflite(path)


def test_half_floats_are_widened(tmp_path: Path) -> None:
    """Weights of float16 behind a DEQUANTIZE, as a converter leaves them."""
    model = ModelWriter()
    sg = model.subgraph("main")
    x = sg.value("x", (1, 7), "float32")
    weight = _weights(4, 7).astype(np.float16)
    held = sg.constant("half", weight.view(np.int16), dtype="int16")
    sg.body.tensors[-1].type = schema.TensorType.FLOAT16
    whole = _then(sg, "DEQUANTIZE", [held], (4, 7))
    y = _then(sg, "FULLY_CONNECTED", [x, whole], (1, 4), schema.FullyConnectedOptionsT())
    sg.finish([x], [y])
    (tmp_path / "n.tflite").write_bytes(model.to_bytes("t", {"input": x}, {"logits": y}, {}))
    rows = torch.randn(3, 7)
    with torch.no_grad():
        got = edgeq.from_tflite(tmp_path / "n.tflite")(rows)
    torch.testing.assert_close(got, rows @ torch.from_numpy(weight.astype(np.float32)).T)


def test_keras_models_come_through_its_converter() -> None:
    keras = pytest.importorskip("keras", reason="the tensorflow extra is not installed")
    pytest.importorskip("tensorflow", reason="the tensorflow extra is not installed")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    net = keras.Sequential(
        [
            layers.Input((12, 10, 3)),
            layers.Conv2D(8, 3, 2, "same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )
    rows = X[:4, :, :, :1].repeat(2, 1)[:, :12].repeat(2, 2)[:, :, :10].repeat(3, 3)
    model = edgeq.from_keras(net)
    with torch.no_grad():
        got = model(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(got, net.predict(rows, verbose=0), atol=1e-5)

"""Float .tflite files: the graph answers as LiteRT does, then they are quantised as others are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import edgeq
from edgeq.emit.tflite_writer import OP_VERSION, TENSOR_TYPE, ModelWriter, SubgraphWriter, Value
from edgeq.errors import BadInput, UnsupportedOp
from edgeq.frontend.tflite_loader import is_float
from edgeq.verbs import imported_ops
from tests import tflite_files as made

SHAPE = (1, 9, 8, 3)


@pytest.fixture(autouse=True)
def _floats(monkeypatch: pytest.MonkeyPatch) -> None:
    """edgeq itself writes integers alone."""
    monkeypatch.setitem(TENSOR_TYPE, "float32", schema.TensorType.FLOAT32)
    monkeypatch.setitem(OP_VERSION, ("BROADCAST_TO", "float32"), 2)


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


Forms = dict[str, tuple[str, list[Any], Any, tuple[int, ...]]]
"""(operator, its constants with None for the map (1, 8, 8, 4), options, shape that it makes)"""


def _int(*values: Any) -> Any:
    return np.array(values, np.int32)


BY = _int([0, 0], [1, 2], [2, 0], [0, 1])
STRIDED = schema.StridedSliceOptionsT(beginMask=4, endMask=5, shrinkAxisMask=2)
FORMS: Forms = {
    "log softmax": ("LOG_SOFTMAX", [None], schema.LogSoftmaxOptionsT(), (1, 8, 8, 4)),
    "prelu": ("PRELU", [None, _weights(1, 1, 4)], None, (1, 8, 8, 4)),
    "tile": ("TILE", [None, _int(1, 2, 1, 3)], None, (1, 16, 8, 12)),
    "to space": ("DEPTH_TO_SPACE", [None], schema.DepthToSpaceOptionsT(2), (1, 16, 16, 1)),
    "to depth": ("SPACE_TO_DEPTH", [None], schema.SpaceToDepthOptionsT(4), (1, 2, 2, 64)),
    "gather": ("GATHER", [None, _int(3, 0, 0)], schema.GatherOptionsT(axis=2), (1, 8, 3, 4)),
    "strided": (
        "STRIDED_SLICE", [None, _int(0, 2, 0, 3), _int(1, 3, 7, 0), _int(1, 1, 2, -1)],
        STRIDED, (1, 4, 3),
    ),
    "turned": ("REVERSE_V2", [None, _int(1, 2)], schema.ReverseV2OptionsT(), (1, 8, 8, 4)),
    "mirrored": ("MIRROR_PAD", [None, BY], schema.MirrorPadOptionsT(0), (1, 11, 10, 5)),
    "edge again": ("MIRROR_PAD", [None, BY], schema.MirrorPadOptionsT(1), (1, 11, 10, 5)),
    "wide": ("BROADCAST_TO", [None, _int(1, 2, 8, 8, 4)], None, (1, 2, 8, 8, 4)),
    "unit norm": ("L2_NORMALIZATION", [None], schema.L2NormOptionsT(), (1, 8, 8, 4)),
    "power": ("POW", [None, np.float32(2)], schema.PowOptionsT(), (1, 8, 8, 4)),
    "product": (
        "BATCH_MATMUL", [None, None], schema.BatchMatMulOptionsT(False, True), (1, 8, 8, 8),
    ),
    "turned product": (
        "BATCH_MATMUL", [None, None], schema.BatchMatMulOptionsT(True, False), (1, 8, 4, 4),
    ),
    "transposed conv": (
        "TRANSPOSE_CONV", [_int(1, 16, 15, 5), _weights(5, 3, 2, 4), None, _weights(5)],
        schema.TransposeConvOptionsT(made.SAME, 2, 2, made.RELU, 0), (1, 16, 15, 5),
    ),
    "transposed, apart": (
        "TRANSPOSE_CONV", [_int(1, 24, 23, 5), _weights(5, 3, 2, 4), None],
        schema.TransposeConvOptionsT(made.VALID, 3, 3, 0, 0), (1, 24, 23, 5),
    ),
    **{
        f"nearest {align}{half}": (
            "RESIZE_NEAREST_NEIGHBOR", [None, _int(5, 13)],
            schema.ResizeNearestNeighborOptionsT(align, half), (1, 5, 13, 4),
        )
        for align, half in ((False, False), (True, False), (False, True))
    },
    **{
        f"linear {align}{half}": (
            "RESIZE_BILINEAR", [None, _int(16, 16)],
            schema.ResizeBilinearOptionsT(align, half), (1, 16, 16, 4),
        )
        for align, half in ((False, False), (False, True))
    },
}  # fmt: skip


def _behind_a_layer(then: Callable[[SubgraphWriter, Value], Value], path: Path) -> bytes:
    model = ModelWriter()
    sg = model.subgraph("main")
    x = sg.value("x", (1, 8, 8, 3), "float32")
    weight, window = _weights(4, 1, 1, 3), made.conv_options(made.VALID, 1)
    y = then(sg, _layer(sg, "CONV_2D", x, weight, (1, 8, 8, 4), window))
    sg.finish([x], [y])
    data = model.to_bytes("made by a test", {"input": x}, {"logits": y}, {})
    path.write_bytes(data)
    return data


def _assert_as_litert(data: bytes, path: Path, atol: float = 1e-5) -> None:
    rows = np.random.default_rng(1).normal(size=(3, 8, 8, 3)).astype(np.float32)
    with torch.no_grad():
        got = edgeq.from_tflite(path)(torch.from_numpy(rows)).numpy()
    wanted = _litert(data, rows)
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, atol=atol)


@pytest.mark.parametrize("name", FORMS)
def test_one_operator_behind_a_layer(name: str, tmp_path: Path) -> None:
    op, inputs, options, out = FORMS[name]

    def then(sg: SubgraphWriter, y: Value) -> Value:
        xs = [y if c is None else sg.constant(f"c{i}", c) for i, c in enumerate(inputs)]
        return _then(sg, op, xs, out, options)

    path = tmp_path / "one.tflite"
    _assert_as_litert(_behind_a_layer(then, path), path)


def test_parts_of_several_operators(tmp_path: Path) -> None:
    """SPLIT, SPLIT_V and UNPACK, their parts in another order, PACKed."""

    def then(sg: SubgraphWriter, y: Value) -> Value:
        axis, more = sg.constant("axis", np.array(1, np.int32)), sg.constant("last", _int(-1))
        half = [sg.value(f"half_{i}", (1, 4, 8, 4), "float32") for i in (0, 1)]
        sg.op("SPLIT", [axis, y], half, schema.SplitOptionsT(2))
        part = [sg.value(f"part_{n}", (1, 4, 8, n), "float32") for n in (3, 1)]
        sg.op("SPLIT_V", [half[1], sg.constant("sizes", _int(3, 1)), more], part,
              schema.SplitVOptionsT(2))  # fmt: skip
        row = [sg.value(f"row_{i}", (1, 8, 3), "float32") for i in range(4)]
        sg.op("UNPACK", [part[0]], row, schema.UnpackOptionsT(4, 1))
        return _then(sg, "PACK", [row[2], row[0]], (1, 8, 2, 3), schema.PackOptionsT(2, 2))

    path = tmp_path / "parts.tflite"
    _assert_as_litert(_behind_a_layer(then, path), path)


@pytest.mark.parametrize("op", ["ARG_MAX", "ARG_MIN"])
def test_places_are_numbers(op: str, tmp_path: Path) -> None:
    def then(sg: SubgraphWriter, y: Value) -> Value:
        place = sg.value("place", (1, 8, 8), "int32")
        kind = schema.ArgMaxOptionsT if op == "ARG_MAX" else schema.ArgMinOptionsT
        sg.op(op, [y, sg.constant("axis", _int(3))], [place], kind(schema.TensorType.INT32))
        return place

    path = tmp_path / "places.tflite"
    _assert_as_litert(_behind_a_layer(then, path), path)


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
    path.write_bytes(_net(last="SIN", activation=4))
    with pytest.raises(UnsupportedOp) as error:
        edgeq.from_tflite(path)
    assert "node 0 CONV_2D (y): it has fused activation 4" in str(error.value)
    assert "SIN (SIN): it is not supported" in str(error.value)
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

"""Float .onnx files: the graph computes what ONNX Runtime does, and what is refused is said."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import edgeq
from edgeq.arrays import CHANNELS_FIRST, model_rows
from edgeq.errors import BadInput, EdgeqError, ModelFile, UnsupportedOp
from edgeq.frontend.onnx_file import parse
from edgeq.frontend.onnx_loader import Imported, findings_of_onnx, imported
from edgeq.ops.op import quant_of
from edgeq.passes import quantize
from edgeq.passes.float_forward import run_float
from edgeq.reference import quantize_rows, run
from edgeq.verbs import imported_ops
from tests import onnx_files as made
from tests import onnx_table
from tests.command_line import run_cli
from tests.unit.emit import test_firmware as c

HERE = Path("/nowhere")
Array = np.ndarray[Any, Any]


def read(data: bytes, folder: Path = HERE) -> Imported:
    return imported(parse(data, folder), "net")


def runtime(data: bytes, x: Array) -> Array:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])


def assert_computes(data: bytes, rows: int = 3, within: float = 2e-5) -> Imported:
    """The graph's answers are the runtime's, in the file's own order of axes."""
    found = read(data)
    x = np.random.default_rng(0).normal(size=(rows, *found.input_shape)).astype(np.float32)
    wanted = runtime(data, x)
    given = model_rows(x, found.input_shape, "rows", found.layout)
    got = run_float(found.graph, given).values[found.graph.outputs[0]]
    if found.layout == CHANNELS_FIRST and wanted.ndim == got.ndim == 4:
        got = got.transpose(0, 3, 1, 2)
    size = max(float(np.abs(wanted).max()), 1.0)
    np.testing.assert_allclose(got.reshape(wanted.shape), wanted, atol=within * size)
    return found


@pytest.mark.parametrize("name", made.NETS)
def test_a_network(name: str) -> None:
    assert_computes(made.net(name)[0])


@pytest.mark.parametrize("name", ["encoder", "attention", "normed"])
def test_its_integers_in_c(name: str, tmp_path: Path) -> None:
    data, shape = made.net(name)
    found = read(data)
    x = np.random.default_rng(2).normal(size=(24, *shape)).astype(np.float32)
    rows = model_rows(x, found.input_shape, "rows", found.layout)
    graph = quantize(found.graph, rows, "mse").graph
    out = quant_of(graph.tensors[graph.outputs[0]])
    codes = quantize_rows(graph, rows)
    got = (run(graph, codes).output - float(out.zero_point)) * out.per_tensor
    wanted = runtime(data, x).reshape(got.shape)
    assert 10 * np.log10(np.square(wanted).sum() / np.square(got - wanted).sum()) > 25
    c.assert_equals_reference(
        graph, c.answers(c.compiled(graph, tmp_path, tmp_path), graph, codes), codes
    )


@pytest.mark.parametrize("name", ["plain", "unet", "dense", "residual", "signal", "features"])
def test_no_transpose_is_left_behind(name: str) -> None:
    graph = read(made.net(name)[0]).graph
    assert "Transpose" not in {node.op for node in graph.nodes}


def test_norms_and_activations_reach_their_layers() -> None:
    graph = read(made.net("residual")[0]).graph
    assert [n.op for n in graph.nodes].count("BatchNorm") == 0  # torch folds them on export
    mixer = read(made.net("mixer")[0]).graph
    assert [n.op for n in mixer.nodes].count("Gelu") == 2
    assert not {"Erf", "Affine", "Mul"} & {n.op for n in mixer.nodes}
    assert "Silu" in {n.op for n in read(made.net("plain")[0]).graph.nodes}


MAP = made.MAP
UNARY = {
    "Relu": {},
    "Sigmoid": {},
    "Tanh": {},
    "HardSigmoid": {"alpha": 0.3, "beta": 0.4},
    "HardSwish": {},
    "LeakyRelu": {"alpha": 0.2},
    "Elu": {"alpha": 0.5},
    "Selu": {},
    "Gelu": {"approximate": "tanh"},
    "Softplus": {},
    "Mish": {},
    "Exp": {},
    "Erf": {},
    "Abs": {},
    "Neg": {},
    "Identity": {},
}


@pytest.mark.parametrize("op", UNARY)
def test_a_function_of_one_number(op: str) -> None:
    data = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node(op, ["c"], ["y0"], **UNARY[op]),
    ]
    weight = np.random.default_rng(1).normal(size=(4, 4, 1, 1)).astype(np.float32)
    assert_computes(made.model(data, MAP, [numpy_helper.from_array(weight, "w")]))


@pytest.mark.parametrize("name", made.NODES)
def test_a_node(name: str) -> None:
    assert_computes(made.NODES[name])


def test_a_place_between_cells_is_a_1024th_of_one() -> None:
    data = made.node("Resize", MAP, None, np.array([1, 1, 2.3, 1.7], np.float32), mode="linear")
    assert_computes(data, within=3 / 1024)


OPS = ("Relu", "Transpose", "Reshape", "Conv", "Add", "Mean", "Concat", "Flip")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(OPS), min_size=1, max_size=7), st.integers(0, 10_000))
def test_any_chain_of_shapes_is_the_runtimes(ops: list[str], seed: int) -> None:
    """Axes go anywhere, and what they are is known throughout."""
    rng = np.random.default_rng(seed)
    shape, nodes, held = (1, 4, 3, 2), [], []
    name = "x"
    for i, op in enumerate([*ops, "Relu"]):
        out = f"v{i}" if i < len(ops) else "y0"
        shape, inputs, kind, more = _step(op, shape, rng, i, held, name)
        nodes.append(helper.make_node(kind, inputs, [out], **more))
        name = out
    assert_computes(made.model(nodes, (1, 4, 3, 2), held), rows=2)


def _step(
    op: str, shape: tuple[int, ...], rng: Any, i: int, held: list[Any], x: str
) -> tuple[tuple[int, ...], list[str], str, dict[str, Any]]:
    def constant(value: object) -> str:
        held.append(numpy_helper.from_array(np.asarray(value), f"c{i}_{len(held)}"))
        return str(held[-1].name)

    rank = len(shape)
    if op == "Transpose" and rank > 2:
        perm = [0, *(1 + rng.permutation(rank - 1)).tolist()]
        return tuple(shape[p] for p in perm), [x], "Transpose", {"perm": perm}
    if op == "Reshape":
        size = int(np.prod(shape))
        choices = [
            (1, size),
            (1, 2, size // 2),
            (1, size // 6, 3, 2),
            (1, 2, size // 4, 2),
            (1, 1, size),
        ]
        new = choices[int(rng.integers(len(choices)))]
        if int(np.prod(new)) == size and min(new) > 0:
            return new, [x, constant(np.array(new))], "Reshape", {}
    if op == "Conv" and rank == 4:
        weight = rng.normal(size=(4, shape[1], 1, 1)).astype(np.float32)
        return (1, 4, *shape[2:]), [x, constant(weight)], "Conv", {}
    if op == "Add":
        kept = [n if rng.random() < 0.5 else 1 for n in shape[1:]]
        return shape, [x, constant(rng.normal(size=kept).astype(np.float32))], "Add", {}
    if op == "Mean" and rank > 2:
        axis = int(rng.integers(1, rank))
        new = tuple(1 if a == axis else n for a, n in enumerate(shape))
        return new, [x, constant(np.array([axis]))], "ReduceMean", {}
    if op == "Concat":
        axis = int(rng.integers(1, rank))
        new = tuple(2 * n if a == axis else n for a, n in enumerate(shape))
        return new, [x, x], "Concat", {"axis": axis}
    if op == "Flip":
        axis = int(rng.integers(1, rank))
        ends = [constant(np.array([v])) for v in (-1, -(2**31), axis, -1)]
        return shape, [x, *ends], "Slice", {}
    return shape, [x], "Relu", {}


def refusal(data: bytes, kind: type[EdgeqError] = UnsupportedOp, folder: Path = HERE) -> str:
    with pytest.raises(kind) as caught:
        read(data, folder)
    return str(caught.value)


def test_every_offender_is_listed(tmp_path: Path) -> None:
    """Two that are not taken, one between them that is, one that cannot be checked."""
    nodes = [
        helper.make_node("Sin", ["x"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b"], name="second"),
        helper.make_node("Mystery", ["b"], ["c"], name="third", domain="shop.own"),
        helper.make_node("Relu", ["c"], ["y0"], name="fourth"),
    ]
    proto = onnx.load_model_from_string(made.model(nodes, MAP))
    proto.opset_import.append(helper.make_opsetid("shop.own", 1))
    data = proto.SerializeToString()
    said = refusal(data)
    assert "node 0 Sin (first): it is not supported" in said
    assert "node 2 Mystery (third): domain 'shop.own' is not taken" in said
    assert "second" not in said
    file = tmp_path / "net.onnx"
    file.write_bytes(data)
    found = findings_of_onnx(file)
    assert [bool(f.refused) for f in found] == [True, False, True, False]
    assert [f.checked for f in found] == [True, True, True, False]
    facts = imported_ops(file)
    assert [n["taken"] for n in facts["nodes"]] == [False, True, False, False]


def test_what_a_file_may_not_be() -> None:
    assert "no protobuf" in refusal(b"\x08\x0a\x12\xff\xff", ModelFile)
    assert "no graph" in refusal(b"", ModelFile)
    assert "opset 12" in refusal(made.node("Relu", MAP, opset=12))
    open_sizes = refusal(_with_open_sizes(made.node("Relu", MAP)))
    assert "open sizes 1, 4, height, 6; say them" in open_sizes
    quantized = made.node("QuantizeLinear", MAP, np.float32(0.1), np.int8(0))
    assert "DequantizeLinear" in refusal(quantized)
    assert "it multiplies an activation by a vector" in refusal(_by_a_vector())
    assert "computes nothing" in refusal(made.node("Identity", MAP))
    assert "not finite" in refusal(made.node("Add", MAP, np.full(6, np.nan)))
    assert "batch of 1" in refusal(made.node("Relu", (3, 4)))
    twice = (None, np.array([1, 1, 2, 2], np.float32))
    assert "mode 'cubic'" in refusal(made.node("Resize", MAP, *twice, mode="cubic"))
    smooth = made.node("Resize", MAP, *twice, mode="linear", antialias=1)
    assert "smooths" in refusal(smooth)
    assert "leaves nothing" in refusal(made.node("Pad", MAP, np.array([0, -4, 0, 0, 0, 0, 0, 0])))
    assert "it gathers places" in refusal(made.node("Gather", MAP, np.array([4]), axis=1))
    wrong = made.node("Conv", MAP, made.W, kernel_shape=[5, 5])
    assert "kernel_shape is not" in refusal(wrong)


def _with_open_sizes(data: bytes) -> bytes:
    proto = onnx.load_model_from_string(data)
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    return bytes(proto.SerializeToString())


def _by_a_vector() -> bytes:
    nodes = [
        helper.make_node("Squeeze", ["x"], ["v"]),
        helper.make_node("MatMul", ["x", "v"], ["y0"]),
    ]
    return made.model(nodes, (1, 4))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 3, 5, 5)])
def test_activations_multiply_as_they_lie(shape: tuple[int, ...], turned: bool) -> None:
    """x x and x x': a Transpose of the file is a way to read, no node."""
    rank = len(shape)
    perm = [*range(rank - 2), rank - 1, rank - 2]
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node("Transpose", ["s"], ["t"], perm=perm),
        helper.make_node("MatMul", ["x", "t" if turned else "s"], ["y0"]),
    ]
    graph = assert_computes(made.model(nodes, shape)).graph
    assert [n.op for n in graph.nodes] == ["Sigmoid", "BatchMatMul"]
    assert graph.nodes[1].attrs.transpose is turned


def test_open_sizes_can_be_said() -> None:
    data = _with_open_sizes(made.node("Relu", MAP))
    found = imported(parse(data, HERE, (4, 7, 6)), "net")
    assert found.input_shape == (4, 7, 6)
    for wrong in ((4, 7), (4, 7, 5), (4, 0, 6)):
        with pytest.raises(BadInput, match=r"is 4,\?,6 without its batch; --input-shape says"):
            parse(data, HERE, wrong)


def test_every_command_says_open_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, rows, out = tmp_path / "net.onnx", tmp_path / "x.npz", tmp_path / "out"
    file.write_bytes(_with_open_sizes(made.node("Conv", MAP, made.W)))
    np.savez(rows, x=np.random.default_rng(0).normal(size=(8, 4, 7, 6)).astype(np.float32))
    said, given = ("--input-shape", "4,7,6"), ("--calibration", str(rows))
    target = ("--target", "virtual_m4", "--out", str(out))
    assert run_cli(monkeypatch, "ops", str(file)) == 3
    assert run_cli(monkeypatch, "ops", str(file), *said) == 0
    assert run_cli(monkeypatch, "export", str(file), *target, *given) == 3
    assert run_cli(monkeypatch, "export", str(file), *target, *given, "--input-shape", "4,x") == 2
    assert not out.exists()
    assert run_cli(monkeypatch, "export", str(file), *target, *given, *said) == 0
    made_again = tmp_path / "q.pt"
    words = ("quantize", str(file), "-o", str(made_again), "--weights", "int4", *given, *said)
    assert run_cli(monkeypatch, *words) == 0
    again = ("verify", str(out), "--model", str(file), *given)
    assert run_cli(monkeypatch, *again) == 0


def test_offenders_are_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [
        helper.make_node(op, [a], [b], name=f"the {op}")
        for op, a, b in (("Sin", "x", "a"), ("Cos", "a", "b"), ("Relu", "b", "y0"))
    ]
    (tmp_path / "net.onnx").write_bytes(made.model(nodes, MAP))
    out = tmp_path / "out"
    words = ("export", str(tmp_path / "net.onnx"), "--target", "virtual_m4", "--out", str(out))
    assert run_cli(monkeypatch, *words) == 3
    said = capsys.readouterr().err
    assert "the Sin" in said
    assert "the Cos" in said
    assert not out.exists()


def test_control_flow_is_refused() -> None:
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["z"], value_float=1.0)],
        "then",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [])],
    )
    branch = helper.make_node(
        "If", ["flag"], ["y0"], name="if", then_branch=inner, else_branch=inner
    )
    flag = numpy_helper.from_array(np.array(True), "flag")
    assert "control flow" in refusal(made.model([branch], MAP, [flag]))


def external(location: str, length: int = 384) -> bytes:
    """A convolution whose weights lie elsewhere."""
    proto = onnx.load_model_from_string(made.node("Conv", MAP, made.W[:4, :, :2]))
    (weight,) = proto.graph.initializer
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(length))):
        entry = weight.external_data.add()
        entry.key, entry.value = key, value
    return bytes(proto.SerializeToString())


def test_external_data_lies_in_the_folder_or_nowhere(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    weights = np.ascontiguousarray(made.W[:4, :, :2])
    for folder in (tmp_path, inside):
        (folder / "weights.bin").write_bytes(weights.tobytes())
    (inside / "link.bin").symlink_to(tmp_path / "weights.bin")
    size = weights.nbytes
    read(external("weights.bin", size), inside)
    for location in ("../weights.bin", str(tmp_path / "weights.bin"), "link.bin", "", "none.bin"):
        said = refusal(external(location, size), ModelFile, inside)
        assert "own folder" in said, location
    assert "outside of" in refusal(external("weights.bin", 10**9), ModelFile, inside)


def test_an_object_and_a_file_are_the_same_model(tmp_path: Path) -> None:
    data, shape = made.net("gated")
    (tmp_path / "net.onnx").write_bytes(data)
    model = edgeq.from_onnx(tmp_path / "net.onnx")
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    np.testing.assert_allclose(model.predict(x)[0], runtime(data, x), atol=1e-5)


def test_no_calibration_set_says_how_to_give_one(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(made.net("features")[0])
    with pytest.raises(BadInput, match=r"--calibration X\.npz"):
        edgeq.export(tmp_path / "net.onnx", "virtual_m4", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_ends_in_one_error(data: st.DataObject) -> None:
    raw = bytearray(made.NODES[data.draw(st.sampled_from(sorted(made.NODES)))])
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(raw))
    except (ModelFile, UnsupportedOp):
        return


def test_the_documented_operators_are_those_that_are_read() -> None:
    assert onnx_table.shown() == onnx_table.table(), "run python -m tests.onnx_table"

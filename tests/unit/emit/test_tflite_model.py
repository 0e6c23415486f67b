"""The .tflite against the numpy reference, run by LiteRT's reference kernels.

Bounds are those reached: convolutions, pools and residual sums equal the contract; one
FULLY_CONNECTED or LayerNorm stays within 1 LSB of it. TensorFlow Lite Micro, where it is, gets the
same files (tests/tflm).
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgeq.emit.tflite_check import assert_tflm_dtypes, ops_used, run_tflite
from edgeq.emit.tflite_model import tflite_model
from edgeq.emit.tflite_writer import pack_int4
from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Quant
from edgeq.ops import OPS
from edgeq.ops.op import Array
from edgeq.reference import io_of, run
from tests.factory import GraphBuilder, conv_graph, fc_graph, input_rows, mixture_graph
from tests.tflm.agreement import assert_agrees
from tests.tflm.interpreter import tflm_is_here

EXACT = ("Conv2D", "DepthwiseConv2D", "Add", "AveragePool2D", "MaxPool2D", "Relu", "Reshape")
PAD = (1, 1, 1, 1)


def builder(shape: tuple[int, ...], seed: int = 0) -> GraphBuilder:
    rng = np.random.default_rng(seed)
    samples = rng.integers(-128, 128, (48, *shape), dtype=np.int8)
    return GraphBuilder(rng, "single", samples, Quant((0.02,), 7))


def rows_of(graph: Graph, rows: int = 300) -> Array:
    return input_rows(np.random.default_rng(11), graph, rows)


def distance(graph: Graph, x: Array) -> Array:
    """LiteRT minus reference on the logits."""
    model = tflite_model(graph, graph.name)
    if tflm_is_here():
        assert_agrees(graph, x[:2])
    assert_tflm_dtypes(model)
    return run_tflite(model, x).logits.astype(int) - run(graph, x).output.astype(int)


def parsed(model: bytes) -> Any:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))


@pytest.mark.parametrize("fmt", ["s8", "s4", "s3", "s2", "t2", "b1"])
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
def test_fully_connected_is_within_one_lsb(fmt: str, activation: str) -> None:
    build = builder((37,))
    build.fully_connected(9, fmt, activation)
    d = distance(build.graph(), rows_of(build.graph()))
    assert np.abs(d).max() <= 1
    assert (d != 0).mean() < 0.02


@pytest.mark.parametrize("fmt", ["s8", "s4", "t2"])
@pytest.mark.parametrize(
    ("stride", "padding"),
    [
        ((1, 1), (0, 0, 0, 0)),
        ((1, 1), PAD),
        ((2, 2), PAD),
        ((2, 1), (0, 2, 1, 0)),
        ((2, 2), (0, 0, 1, 1)),
    ],
)
@pytest.mark.parametrize("size", [(8, 7, 3), (9, 6, 3)])
def test_conv_2d_equals_the_reference(
    fmt: str,
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    size: tuple[int, int, int],
) -> None:
    build = builder(size)
    build.conv(5, (3, 3), fmt, "relu", stride, padding)
    assert not distance(build.graph(), rows_of(build.graph(), 20)).any()


@pytest.mark.parametrize("fmt", ["s8", "s4"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
@pytest.mark.parametrize("padding", [(0, 0, 0, 0), PAD, (2, 0, 0, 1)])
def test_depthwise_equals_the_reference(
    fmt: str, stride: tuple[int, int], padding: tuple[int, int, int, int]
) -> None:
    build = builder((8, 7, 5))
    build.depthwise((3, 3), fmt, "relu6", stride, padding)
    assert not distance(build.graph(), rows_of(build.graph(), 20)).any()


@pytest.mark.parametrize("padding", [(0, 0, 0, 0), PAD, (0, 1, 0, 0)])
@pytest.mark.parametrize("zero_point", [7, -128])
def test_max_pool_padding_never_wins(padding: tuple[int, int, int, int], zero_point: int) -> None:
    samples = np.random.default_rng(0).integers(-128, 0, (8, 7, 6, 3), dtype=np.int8)
    build = GraphBuilder(np.random.default_rng(0), "pool", samples, Quant((0.02,), zero_point))
    build.max_pool((3, 3), (2, 2), padding)
    assert not distance(build.graph(), samples).any()


@pytest.mark.parametrize("kernel", [(2, 2), (3, 1), (6, 4), (5, 3)])
def test_case_14_an_average_pool_equals_the_reference(kernel: tuple[int, int]) -> None:
    """Over the whole map too."""
    build = builder((6, 4, 3))
    build.average_pool(kernel, (1, 1))
    graph = build.graph()
    assert "MEAN" not in ops_used(tflite_model(graph, "t"))
    assert not distance(graph, rows_of(graph, 60)).any()


def test_softmax_is_within_one_lsb() -> None:
    build = builder((10,))
    build.softmax()
    assert np.abs(distance(build.graph(), rows_of(build.graph()))).max() <= 1


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_standalone_relu_is_exact(activation: str) -> None:
    build = builder((10,))
    build.relu(activation)
    assert not distance(build.graph(), rows_of(build.graph())).any()


@pytest.mark.parametrize("n", [4, 13, 320, 1536])
@pytest.mark.parametrize(("deviation", "bound"), [(1, 4), (3, 2), (10, 1), (40, 1), (90, 1)])
def test_layer_norm_stays_near_the_integer_reference(n: int, deviation: int, bound: int) -> None:
    """Bound in LSB by the input's deviation in steps; from 10 on, RMS at most 0.25 LSB."""
    rng = np.random.default_rng(n)
    samples = np.clip(np.round(rng.normal(4, deviation, (40, n))), -128, 127).astype(np.int8)
    build = GraphBuilder(rng, "norm", samples, Quant((0.02,), 4))
    build.layer_norm()
    d = distance(build.graph(), samples)
    assert np.abs(d).max() <= bound
    if deviation >= 10:
        assert np.sqrt((d**2).mean()) <= 0.25


def test_layer_norm_of_constant_rows_is_beta() -> None:
    build = builder((12,))
    build.layer_norm("relu")
    x = np.repeat(np.array([[-128], [7], [127]], np.int8), 12, axis=1)
    assert np.abs(distance(build.graph(), x)).max() <= 1


@pytest.mark.parametrize("epsilon", [1e-3, 0.5, 10.0])
def test_layer_norm_honours_a_large_epsilon(epsilon: float) -> None:
    build = builder((33,))
    build.layer_norm()
    graph = build.graph()
    node = graph.nodes[0]
    scaled = np.array([max(1, round(epsilon * (33 / 0.02) ** 2))], np.int64)
    node = replace(node, attrs=replace(node.attrs, epsilon=epsilon))
    graph = graph.with_nodes([node]).with_constants({node.params["epsilon"]: scaled})
    assert np.abs(distance(graph, rows_of(graph))).max() <= 1


@pytest.mark.parametrize("make", [fc_graph, conv_graph])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_layer_follows_the_reference(make: Any, seed: int) -> None:
    """Each layer is given what LiteRT gave it, so that errors do not add up."""
    graph = make(np.random.default_rng(seed))
    values = layer_values(graph, rows_of(graph, 25))
    for node in graph.nodes:
        inputs = tuple(values[t] for t in node.inputs)
        params = graph.params(node)
        wanted = OPS[node.op].reference(node.attrs, io_of(graph, node), inputs, params)
        d = np.abs(wanted.astype(int) - values[node.outputs[0]].astype(int))
        assert d.max() <= (0 if node.op in EXACT else 1), node.name


def layer_values(graph: Graph, x: Array) -> dict[str, Array]:
    interpreter = Interpreter(
        model_content=tflite_model(graph, "t"),
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    index = {d["name"]: d["index"] for d in interpreter.get_tensor_details()}
    names = {graph.inputs[0], *(n.outputs[0] for n in graph.nodes)}
    rows: dict[str, list[Array]] = {name: [] for name in names}
    for row in x:
        interpreter.set_tensor(index[graph.inputs[0]], row[None])
        interpreter.invoke()
        for name in names:
            rows[name].append(interpreter.get_tensor(index[name])[0].copy())
    return {name: np.array(v) for name, v in rows.items()}


@pytest.mark.parametrize("make", [fc_graph, conv_graph])
def test_top1_agrees_on_a_chain_of_layers(make: Any) -> None:
    graph = make(np.random.default_rng(1))
    x = rows_of(graph, 400)
    logits = run_tflite(tflite_model(graph, "t"), x).logits
    assert (logits.argmax(1) == run(graph, x).output.argmax(1)).mean() >= 0.99


def test_int4_weights_are_packed_low_nibble_first() -> None:
    assert pack_int4(np.array([1, -1, 7], np.int8)) == bytes([0xF1, 0x07])
    build = builder((10,))
    build.fully_connected(6, "t2")
    graph = build.graph()
    codes = graph.param(graph.nodes[0], "weight")
    model = parsed(tflite_model(graph, "t"))
    (weight,) = (t for t in model.subgraphs[0].tensors if t.type == schema.TensorType.INT4)
    raw = bytes(model.buffers[weight.buffer].data)
    assert len(raw) == codes.size // 2
    low = np.array([(b & 15) ^ 8 for b in raw]) - 8
    assert np.array_equal(low, codes.reshape(-1)[::2])


def test_per_channel_int4_linear_is_a_convolution_and_per_tensor_is_not() -> None:
    build = builder((10,))
    build.fully_connected(6, "s4")
    graph = build.graph()
    assert ops_used(tflite_model(graph, "t")) == ("CONV_2D", "RESHAPE")
    name = graph.nodes[0].params["weight"]
    one = replace(graph.tensors[name], quant=Quant((0.01,), 0, 0))
    single = graph.with_tensors({name: one})
    model = tflite_model(single, "t")
    assert ops_used(model) == ("FULLY_CONNECTED",)
    assert_tflm_dtypes(model)


def test_a_16_bit_weight_is_refused_with_every_name() -> None:
    graph = fc_graph(np.random.default_rng(0), ("s8", "s16", "s16"))
    with pytest.raises(UnsupportedOp, match=r"no 16-bit weights: .*, .*ONNX"):
        tflite_model(graph, "t")
    mixed = mixture_graph(np.random.default_rng(0), formats=("t2", "s16"))
    with pytest.raises(UnsupportedOp, match="no 16-bit weights"):
        tflite_model(mixed, "t")


def test_an_unknown_op_is_refused_by_name() -> None:
    graph = fc_graph(np.random.default_rng(0))
    node = replace(graph.nodes[0], op="BatchNorm", name="left_over")
    with pytest.raises(UnsupportedOp, match=r"left_over \(BatchNorm\)"):
        tflite_model(graph.with_nodes([node, *graph.nodes[1:]]), "t")


def test_bytes_are_deterministic_and_carry_the_digest() -> None:
    graph = mixture_graph(np.random.default_rng(0))
    first, second = (tflite_model(graph, "demo", "abc123") for _ in range(2))
    assert first == second
    assert first != tflite_model(graph, "demo", "abc124")
    model = parsed(first)
    assert model.description.decode().endswith("demo abc123")
    notes = {m.name.decode(): bytes(model.buffers[m.buffer].data) for m in model.metadata}
    assert notes["edgeq_model_digest"] == b"abc123"


def test_buffers_start_on_16_bytes() -> None:
    data = tflite_model(fc_graph(np.random.default_rng(0)), "t")
    model = schema.Model.GetRootAs(data, 0)
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if buffer.DataLength():
            assert buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0

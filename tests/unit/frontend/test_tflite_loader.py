"""What of a .tflite is refused, by which words, and that damage ends in one clear error."""

import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edgeq.emit.tflite_writer import ModelWriter, SubgraphWriter, Value
from edgeq.errors import ModelFile, UnsupportedOp
from edgeq.frontend.tflite_loader import findings_of, graph_of_tflite, is_float
from edgeq.ir import Quant
from edgeq.reference import run
from tests import tflite_files as made
from tests import tflite_more as more
from tests.factory import input_rows

MUTATIONS = 1500
FINE = Quant((1e-10,), 3)


def answers(data: bytes) -> np.ndarray[Any, Any]:
    graph = graph_of_tflite(data, "t")
    return run(graph, input_rows(np.random.default_rng(0), graph, 6)).output


@pytest.mark.parametrize("axis", [-1, 3, 99])
def test_the_axis_of_scales_may_be_a_legacy_one(axis: int) -> None:
    data = made.TAKEN["conv same asymmetric"]
    assert np.array_equal(answers(made.scales_along(data, axis)), answers(data))


def test_int4_weights_are_taken_and_minus_8_travels_in_int8() -> None:
    codes = np.array([[-7, 7, 1, 0], [3, -2, 5, 6]], np.int8)
    formats = []
    for low in (-7, -8):
        codes[0, 0] = low
        weight, options = (codes.copy(), Quant((0.01,), 0, 0)), schema.FullyConnectedOptionsT()

        def make(
            sg: SubgraphWriter, x: Value, weight: Any = weight, options: Any = options
        ) -> Value:
            return made.layer(sg, "FULLY_CONNECTED", x, weight, (1, 2), options, dtype="int4")

        (node,) = (graph := graph_of_tflite(made.written((1, 4), make), "t")).nodes
        assert np.array_equal(graph.param(node, "weight"), codes)
        formats.append(node.attrs.weight_format)
    assert formats == ["s4", "s8"]


def float_ends(data: bytes) -> bytes:
    """QUANTIZE before it and DEQUANTIZE behind it, as converters write by default."""

    def change(model: Any) -> None:
        (sg,) = model.subgraphs
        for end, code in (
            ("inputs", schema.BuiltinOperator.QUANTIZE),
            ("outputs", schema.BuiltinOperator.DEQUANTIZE),
        ):
            inner, outer = int(getattr(sg, end)[0]), len(sg.tensors)
            shape = sg.tensors[inner].shape
            sg.tensors.append(schema.TensorT(shape=shape, type=0, buffer=0, name=end))
            code_ = schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=1)
            model.operatorCodes.append(code_)
            entering = code == schema.BuiltinOperator.QUANTIZE
            op = schema.OperatorT(
                opcodeIndex=len(model.operatorCodes) - 1,
                inputs=[outer if entering else inner],
                outputs=[inner if entering else outer],
            )
            sg.operators.insert(0 if entering else len(sg.operators), op)
            setattr(sg, end, [outer])

    return made.changed(data, change)


def test_float_ends_are_the_hosts_to_convert() -> None:
    data = made.TAKEN["dense per tensor"]
    assert np.array_equal(answers(float_ends(data)), answers(data))


def op_code(name: str, custom: bytes | None = None) -> Callable[[Any], None]:
    """The first operator becomes another."""

    def change(model: Any) -> None:
        value = getattr(schema.BuiltinOperator, name)
        code = model.operatorCodes[0]
        code.builtinCode, code.deprecatedBuiltinCode = value, min(value, 127)
        code.customCode = custom

    return change


def typed(index: int, kind: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model.subgraphs[0].tensors[index].type = kind

    return change


def options(**values: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for name, value in values.items():
            setattr(model.subgraphs[0].operators[0].builtinOptions, name, value)

    return change


def twice(model: Any) -> None:
    model.subgraphs.append(model.subgraphs[0])


def unknown_height(model: Any) -> None:
    tensor = model.subgraphs[0].tensors[0]
    tensor.shapeSignature = [1, -1, *tensor.shape[2:]]


def variable(model: Any) -> None:
    model.subgraphs[0].tensors[0].isVariable = True


def weight_zero(model: Any) -> None:
    model.subgraphs[0].tensors[1].quantization.zeroPoint = np.full(5, 3, np.int64)


FLOAT = schema.TensorType.FLOAT32
DENSE, CONV, ADD = "dense per tensor", "conv same", "sum"
REFUSED: Mapping[str, tuple[str, Callable[[Any], None], str]] = {
    "lstm": (DENSE, op_code("UNIDIRECTIONAL_SEQUENCE_LSTM"), r"node 0 UNIDIRECTIONAL_SEQ.* \(y\)"),
    "custom": (DENSE, op_code("CUSTOM", b"MyOp"), r"node 0 MyOp \(y\): custom operators"),
    "activation": (CONV, options(fusedActivationFunction=2), "fused activation relu_n1_to_1"),
    "beta": ("softmax", options(beta=0.5), "beta 0.5"),
    "shuffled": (DENSE, options(weightsFormat=1), "shuffled"),
    "asymmetric weights": (CONV, weight_zero, "weights have a zero point"),
    "subgraphs": (CONV, twice, "2 subgraphs"),
    "hybrid": (DENSE, typed(0, FLOAT), r"hybrid.*node 0 FULLY_CONNECTED \(y\)"),
    "int16": (DENSE, typed(0, schema.TensorType.INT16), "int16 and its zero point is not 0"),
    "dynamic": (CONV, unknown_height, "shape that is not known"),
    "variable": (CONV, variable, "a variable"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name: str) -> None:
    source, change, words = REFUSED[name]
    with pytest.raises(UnsupportedOp, match=words):
        graph_of_tflite(made.changed(made.TAKEN[source], change), "t")


def test_a_float_file_is_told_apart() -> None:
    def change(model: Any) -> None:
        for tensor in model.subgraphs[0].tensors:
            tensor.type, tensor.quantization = FLOAT, None

    assert is_float(made.changed(made.TAKEN[DENSE], change))
    assert not is_float(made.TAKEN[DENSE])


def test_every_offender_is_listed_before_anything_else(tmp_path: Path) -> None:
    """Two nodes that are not taken, one between them that is."""

    def change(model: Any) -> None:
        model.subgraphs[0].operators[0].builtinOptions.fusedActivationFunction = 2
        code = schema.OperatorCodeT(deprecatedBuiltinCode=28, builtinCode=28, version=1)  # TANH
        model.operatorCodes.append(code)
        model.subgraphs[0].operators[1].opcodeIndex = len(model.operatorCodes) - 1
        model.subgraphs[0].operators[1].inputs = model.subgraphs[0].operators[1].inputs[:1]

    data = made.changed(made.TAKEN[ADD], change)
    with pytest.raises(UnsupportedOp, match=r"node 0 CONV_2D \(a\): .*; node 1 TANH \(sum\): "):
        graph_of_tflite(data, "t")
    (tmp_path / "net.tflite").write_bytes(data)
    assert [f.op for f in findings_of(tmp_path / "net.tflite") if f.refused] == ["CONV_2D", "TANH"]


def test_an_add_of_constants_or_of_shapes_that_do_not_fit_is_refused() -> None:
    def make(shape: tuple[int, ...], both: bool) -> made.Make:
        def append(sg: SubgraphWriter, x: Value) -> Value:
            other = sg.constant("bias", np.ones(shape, np.int8), x.quant)
            y = sg.value("y", x.shape, "int8", x.quant)
            sg.op("ADD", [other if both else x, other], [y], schema.AddOptionsT())
            return y

        return append

    with pytest.raises(UnsupportedOp, match="constants alone"):
        graph_of_tflite(made.written((1, 5), make((1, 5), True)), "t")
    with pytest.raises(UnsupportedOp, match="cannot be broadcast"):
        graph_of_tflite(made.written((1, 5), make((1, 4), False)), "t")


@pytest.mark.parametrize("channels", [1, 5, 12])
def test_groups_that_do_not_fit_are_refused(channels: int) -> None:
    """Weights of 3 channels and 6 outputs: no group, a part of one, 4 groups."""
    make = made.conv(6, 3, 3, made.conv_options(made.SAME, 1), 6)
    with pytest.raises(UnsupportedOp, match=rf"on {channels} channels"):
        graph_of_tflite(made.written((1, 6, 6, channels), make), "t")


def test_int16_activations_are_named() -> None:
    """Each operator without a kernel for them; those that have one are not."""

    def make(sg: SubgraphWriter, x: Value) -> Value:
        wide = sg.value("wide", x.shape, "int16", Quant((0.0002,), 0))
        sg.op("QUANTIZE", [x], [wide], schema.QuantizeOptionsT())
        again = sg.value("again", x.shape, "int16", wide.quant)
        sg.op("HARD_SWISH", [wide], [again], schema.HardSwishOptionsT())
        y = sg.value("y", x.shape, "int16", wide.quant)
        sg.op("ELU", [again], [y])
        return y

    with pytest.raises(UnsupportedOp) as caught:
        graph_of_tflite(made.written(made.MAP, make), "t")
    told = str(caught.value)
    assert "node 1 HARD_SWISH (again): 'wide' is int16, in which this operator" in told
    assert "node 2 ELU (y): 'again' is int16, in which this operator has no kernel" in told


NO_ENDS = [[0, 0], [0, 0]]


def test_rows_of_the_batch_are_dilation() -> None:
    """Padded with the zero point, as LiteRT has it; TensorFlow Lite Micro pads with the code 0."""
    data = made.written(made.MAP, more.by_batches((3, 2), [[2, 4], [1, 3]], [[0, 2], [1, 1]]))
    graph = graph_of_tflite(data, "t")
    (node,) = graph.nodes
    assert (node.op, node.attrs.dilation, node.attrs.padding) == ("Conv2D", (3, 2), (2, 0, 2, 2))
    rows = np.random.default_rng(3).integers(-128, 128, (4, 6, 6, 3), dtype=np.int8)
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    ends = (interpreter.get_input_details()[0], interpreter.get_output_details()[0])
    for row, wanted in zip(rows, run(graph, rows).output, strict=True):
        interpreter.set_tensor(ends[0]["index"], row[None])
        interpreter.invoke()
        got = interpreter.get_tensor(ends[1]["index"])[0].astype(int)
        assert np.abs(got - wanted.reshape(got.shape)).max() <= 1


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (more.by_batches((2, 2), NO_ENDS, [[1, 0], [0, 0]]), "crops more than was padded"),
        (more.by_batches((2, 2), [[1, 0], [0, 0]], NO_ENDS), "does not come apart"),
        (more.by_batches((2, 2), NO_ENDS, NO_ENDS, again=(2, 1)), "has other blocks"),
        (more.by_batches((2, 2), NO_ENDS, NO_ENDS, stride=2), "of its own"),
        (more.by_batches((2, 2), NO_ENDS, NO_ENDS, end="RELU"), "no BATCH_TO_SPACE_ND alone"),
    ],
    ids=["crops", "blocks", "other blocks", "stride", "no end"],
)
def test_rows_of_the_batch_that_are_no_dilation(file: made.Make, said: str) -> None:
    with pytest.raises(UnsupportedOp, match=re.escape(said)):
        graph_of_tflite(made.written(made.MAP, file), "t")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (more.reduced("MEAN", (0,), (6, 6, 3)), "it reduces axes [0]"),
        (more.reduced("MEAN", (1, 3), (1, 6)), "which do not follow one another"),
        (more.reduced("REDUCE_MAX", (1, 2), (1, 3), made.Y), "different scales"),
        (more.transposed(made.SAME, 0, (12, 12)), "it has stride (0, 0)"),
        (more.held("MINIMUM", True, 3), ""),
    ],
)
def test_reductions_and_filters_that_are_not_taken(file: made.Make, said: str) -> None:
    data = made.written(made.MAP, file)
    if not said:
        graph_of_tflite(data, "t")
        return
    with pytest.raises(UnsupportedOp, match=re.escape(said)):
        graph_of_tflite(data, "t")


def test_tiles_are_cells_over_again() -> None:
    graph = graph_of_tflite(made.written(made.MAP, more.tiled), "t")
    x = input_rows(np.random.default_rng(2), graph, 3)
    np.testing.assert_array_equal(run(graph, x).output, np.tile(x, (1, 2, 1, 3)))


def test_a_tile_of_more_cells_than_any_device_has_is_refused_before_they_are_listed() -> None:
    def change(model: Any) -> None:
        model.subgraphs[0].tensors[0].shape = [1, 1 << 24, 1, 1]
        repeats = np.array([1, 4096, 1, 1], np.int32)
        model.buffers[model.subgraphs[0].tensors[2].buffer].data = repeats.view(np.uint8)

    data = made.written(made.MAP, more.tiled)
    with pytest.raises(UnsupportedOp, match=r"it repeats \[1, 16777216, 1, 1\] by \[1, 4096"):
        graph_of_tflite(made.changed(data, change), "t")


@pytest.mark.parametrize("make", [made.unary("RELU", FINE), more.prelu((1, 1, 3))])
def test_scales_that_have_no_integers_are_damage(make: made.Make) -> None:
    def change(model: Any) -> None:
        model.subgraphs[0].tensors[0].quantization.scale = [1e10]
        model.subgraphs[0].tensors[-1].quantization.scale = [FINE.per_tensor]

    with pytest.raises(ModelFile, match="it makes no sense: y: "):
        graph_of_tflite(made.changed(made.written(made.MAP, make), change), "t")


def test_what_helps_stands_beside_an_operator_that_is_not_taken() -> None:
    with pytest.raises(UnsupportedOp, match=r"node 0 RNN \(y\): .*recurrent layers"):
        graph_of_tflite(made.written(made.MAP, made.unary("RNN", made.X)), "t")


def test_tables_that_name_each_other_again_and_again_are_bounded() -> None:
    """Thousands of subgraphs that are one: a small file, and hours of reading without a bound."""

    def change(model: Any) -> None:
        model.subgraphs[0].operators *= 3000

    data = made.changed(made.TAKEN[DENSE], change)
    sized = bytearray(data)
    with pytest.raises((ModelFile, UnsupportedOp)):
        graph_of_tflite(bytes(sized), "t")


@pytest.mark.parametrize("length", [0, 3, 8, 11, 40, 200])
def test_a_cut_file_is_refused(length: int) -> None:
    with pytest.raises(ModelFile):
        graph_of_tflite(made.TAKEN[CONV][:length], "t")


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes changed, an offset or a length made extreme, or a piece moved."""
    raw = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(raw) - 8))
        kind = rng.integers(0, 4)
        if kind == 0:
            raw[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            value = int(rng.choice([0, 1, 2**31 - 1, 2**31, 2**32 - 1, len(raw), len(raw) - 1]))
            struct.pack_into("<I", raw, at & ~3, value)
        elif kind == 2:
            size = int(rng.integers(1, 64))
            source = int(rng.integers(0, len(raw) - size))
            raw[at : at + size] = raw[source : source + size]
        else:
            struct.pack_into("<h", raw, at & ~1, int(rng.integers(-40, 40)))
    return bytes(raw)


@pytest.mark.parametrize("name", ["conv same", "sum", "pad", "average same", "softmax"])
def test_a_mutated_file_is_taken_or_refused(name: str) -> None:
    """Seeded; whatever is taken runs."""
    rng, refused = np.random.default_rng(11), 0
    for _ in range(MUTATIONS // 5):
        data = mutated(made.TAKEN[name], rng)
        try:
            answers(data)
        except (ModelFile, UnsupportedOp):
            refused += 1
    assert refused > MUTATIONS // 50


def test_an_empty_subgraph_is_refused() -> None:
    model = ModelWriter()
    sg = model.subgraph("main")
    x = sg.value("x", (1, 4), "int8", made.X)
    sg.finish([x], [x])
    with pytest.raises(UnsupportedOp, match="computes nothing"):
        graph_of_tflite(model.to_bytes("", {"input": x}, {"logits": x}, {}), "t")


def test_a_file_that_gives_back_its_input_is_refused() -> None:
    """By a copy under another shape too, or beside a node that nobody reads."""

    def reshaped(sg: SubgraphWriter, x: Value) -> Value:
        y = sg.value("y", (1, 12), "int8", x.quant)
        sg.op("RESHAPE", [x], [y])
        return y

    def unread(sg: SubgraphWriter, x: Value) -> Value:
        made.softmax()(sg, x)
        return x

    for make, shape in ((reshaped, (1, 3, 4)), (unread, (1, 12))):
        with pytest.raises(UnsupportedOp, match="computes nothing"):
            graph_of_tflite(made.written(shape, make), "t")


def test_a_softmax_of_a_scalar_is_refused() -> None:
    def change(model: Any) -> None:
        model.subgraphs[0].tensors[0].shape = []

    with pytest.raises(UnsupportedOp, match="over a single value"):
        graph_of_tflite(made.changed(made.TAKEN["softmax"], change), "t")

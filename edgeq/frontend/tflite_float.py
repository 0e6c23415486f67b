"""A float .tflite file, operator by operator as ONNX has them: what the ONNX reader takes.

Its maps are channels last; each window stands between two transposes, which move nothing (see
float_graph.py). Weights of float16 are widened.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.errors import ModelFile, UnsupportedOp
from edgeq.frontend.findings import Finding, Refused
from edgeq.frontend.onnx_file import OnnxFile
from edgeq.frontend.onnx_loader import Imported, findings_in, imported
from edgeq.frontend.tflite_file import (
    Operator,
    Subgraph,
    TfliteFile,
    parse,
    read_bytes,
)
from edgeq.frontend.tflite_float_cells import CELL_WRITERS
from edgeq.frontend.tflite_writing import Writer, Writing, slid

OPSET = 18
PLACES = ("ARG_MAX", "ARG_MIN")  # whole numbers of values, not of sizes
SEVERAL = ("SPLIT", "SPLIT_V", "UNPACK")  # of several outputs


def load_float_tflite(path: Path) -> tuple[Imported, bytes]:
    """(graph, bytes of the file). Raises BadInput, ModelFile and UnsupportedOp, naming the file."""
    data = read_bytes(path)
    try:
        file, findings = onnx_of(parse(data))
        refused = [f.said for f in findings if f.refused]
        if refused:
            raise UnsupportedOp("; ".join(refused) + f"; taken are {', '.join(sorted(WRITERS))}")
        return imported(file, path.stem), data
    except (ModelFile, UnsupportedOp) as error:
        raise type(error)(f"{path}: {error}") from error


def findings_of_float(file: TfliteFile) -> list[Finding]:
    """Every operator in its order."""
    written, findings = onnx_of(file)
    if any(f.refused for f in findings):
        return findings
    refused = {f.index: f.refused for f in findings_in(written) if f.refused}
    return [replace(f, refused=refused.get(f.index, "")) for f in findings]


def onnx_of(file: TfliteFile) -> tuple[OnnxFile, list[Finding]]:
    """The file as ONNX has it, and what is said of each of its operators."""
    subgraph, findings = file.subgraphs[0], list[Finding]()
    w = Writing(file, subgraph)
    w.ids = {i for i in subgraph.inputs if subgraph.tensors[i].dtype in ("int32", "int64")}
    whole = frozenset(f"t{i}" for i in w.ids)
    for op in subgraph.operators:
        w.index, w.name = op.index, subgraph.tensors[op.outputs[0]].name if op.outputs else "none"
        refused = ""
        try:
            _write(w, op)
        except Refused as error:
            refused = str(error)
        findings.append(Finding(op.index, op.op, w.name, refused))
    shapes = {f"t{i}": tensor.shape for i, tensor in enumerate(subgraph.tensors)}
    inputs = {f"t{i}": subgraph.tensors[i].shape for i in subgraph.inputs}
    outputs = tuple(f"t{i}" for i in subgraph.outputs)
    made = OnnxFile(inputs, outputs, tuple(w.operators), w.constants, shapes, OPSET, whole)
    return made, findings


def _write(w: Writing, op: Operator) -> None:
    if _of_shapes(w.subgraph, op) and op.op not in PLACES:
        if not w.ids & set(op.inputs):
            return
        w.ids |= set(op.outputs)
    writer = None if op.custom else WRITERS.get(op.op)
    if writer is None:
        raise Refused("custom operators are not taken" if op.custom else "it is not supported")
    if len(op.outputs) != 1 and op.op not in SEVERAL:
        raise Refused(f"it has {len(op.outputs)} outputs")
    try:
        writer(w, op)
    except (ValueError, IndexError, TypeError) as error:
        raise Refused(f"its constants make no sense ({error})"[:200]) from None


def _of_shapes(subgraph: Subgraph, op: Operator) -> bool:
    """Whether it computes whole numbers: shapes, which the tensors have anyway."""
    made = [subgraph.tensors[i].dtype for i in op.outputs]
    return bool(made) and all(dtype in ("int32", "int64") for dtype in made)


def _window(op: Operator) -> dict[str, Any]:
    """Padding and stride, which are the first three options of every window."""
    auto = "VALID" if op.option(0, "b") else "SAME_UPPER"
    return {"auto_pad": auto, "strides": (int(op.option(2, "i")), int(op.option(1, "i")))}


def _conv(w: Writing, op: Operator, dilations: tuple[int, int], activation: int) -> None:
    weight = w.value(op, 1)
    if weight.ndim != 4 or len(w.tensor(op, 0).shape) != 4:
        raise Refused(f"its weights have shape {list(weight.shape)}")
    channels = w.tensor(op, 0).shape[3]
    depthwise = op.op == "DEPTHWISE_CONV_2D"
    placed = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
    if channels % placed.shape[1]:
        raise Refused(f"weights {list(weight.shape)} on {channels} channels")
    bias = [w.given(op, 2)] if w.has(op, 2) else []
    y = slid(
        w, op, "Conv", w.constant(placed), *bias,
        dilations=dilations, group=channels // placed.shape[1], **_window(op),
    )  # fmt: skip
    w.end(op, y, op.option(activation, "b"))


def _conv_2d(w: Writing, op: Operator) -> None:
    _conv(w, op, (op.option(5, "i", 1), op.option(4, "i", 1)), 3)


def _depthwise_conv_2d(w: Writing, op: Operator) -> None:
    _conv(w, op, (op.option(6, "i", 1), op.option(5, "i", 1)), 4)


def _fully_connected(w: Writing, op: Operator) -> None:
    weight, shape = w.value(op, 1), w.tensor(op, 0).shape
    if weight.ndim != 2 or op.option(1, "b"):
        raise Refused(f"its weights have shape {list(weight.shape)}, or are shuffled")
    made = w.subgraph.tensors[op.outputs[0]].shape
    x = w.given(op, 0)
    if shape[-1] != weight.shape[1] or len(shape) != len(made):
        x = w.add("Reshape", x, w.constant(np.array([*made[:-1], weight.shape[1]])))
    y = w.add("MatMul", x, w.constant(weight.T))
    if w.has(op, 2):
        y = w.add("Add", y, w.given(op, 2))
    w.end(op, y, op.option(0, "b"))


def _pool(kind: str) -> Writer:
    def write(w: Writing, op: Operator) -> None:
        kernel = (int(op.option(4, "i")), int(op.option(3, "i")))
        y = slid(w, op, kind, kernel_shape=kernel, **_window(op))
        w.end(op, y, op.option(5, "b"))

    return write


def _both(kind: str) -> Writer:
    def write(w: Writing, op: Operator) -> None:
        w.end(op, w.add(kind, w.given(op, 0), w.given(op, 1)), op.option(0, "b"))

    return write


def _of_one(kind: str, *clamp: float, **options: tuple[int, str]) -> Writer:
    """`options`: attributes by the place and form of the option that holds them."""

    def write(w: Writing, op: Operator) -> None:
        attributes = {name: op.option(*where) for name, where in options.items()}
        ends = (w.constant(np.array(n, np.float32)) for n in clamp)
        w.end(op, w.add(kind, w.given(op, 0), *ends, **attributes))

    return write


def _squared_difference(w: Writing, op: Operator) -> None:
    apart = w.add("Sub", w.given(op, 0), w.given(op, 1))
    w.end(op, w.add("Mul", apart, apart))


def _rsqrt(w: Writing, op: Operator) -> None:
    w.end(op, w.add("Reciprocal", w.add("Sqrt", w.given(op, 0))))


def _gelu(w: Writing, op: Operator) -> None:
    how = b"tanh" if op.option(0, "?") else b"none"
    w.end(op, w.add("Gelu", w.given(op, 0), approximate=how))


def _softmax(w: Writing, op: Operator) -> None:
    if op.option(0, "f", 0.0) != 1.0:
        raise Refused(f"it has beta {op.option(0, 'f', 0.0):g}")
    w.end(op, w.add("Softmax", w.given(op, 0), axis=-1))


def _reduced(kind: str) -> Writer:
    def write(w: Writing, op: Operator) -> None:
        axes = w.constant(w.value(op, 1).reshape(-1).astype(np.int64))
        w.end(op, w.add(kind, w.given(op, 0), axes, keepdims=int(op.option(0, "?"))))

    return write


def _reshaped(w: Writing, op: Operator) -> None:
    """The new shape is the output's own, whatever says it."""
    shape = np.array(w.subgraph.tensors[op.outputs[0]].shape, np.int64)
    w.end(op, w.add("Reshape", w.given(op, 0), w.constant(shape)))


def _transposed(w: Writing, op: Operator) -> None:
    w.end(op, w.add("Transpose", w.given(op, 0), perm=tuple(w.value(op, 1).tolist())))


def _joined(w: Writing, op: Operator) -> None:
    parts = [w.given(op, i) for i in range(len(op.inputs))]
    w.end(op, w.add("Concat", *parts, axis=op.option(0, "i")), op.option(1, "b"))


def _padded(w: Writing, op: Operator) -> None:
    by = w.constant(w.value(op, 1).T.reshape(-1).astype(np.int64))
    more = [w.given(op, 2)] if w.has(op, 2) else []
    w.end(op, w.add("Pad", w.given(op, 0), by, *more))


def _sliced(w: Writing, op: Operator) -> None:
    start, size = (w.value(op, i).reshape(-1).astype(np.int64) for i in (1, 2))
    end = np.where(size < 0, np.array(w.tensor(op, 0).shape), start + size)
    w.end(op, w.add("Slice", w.given(op, 0), w.constant(start), w.constant(end)))


def _repeated(w: Writing, op: Operator) -> None:
    times = w.constant(w.value(op, 1).reshape(-1).astype(np.int64))
    w.end(op, w.add("Tile", w.given(op, 0), times))


def _blocks(kind: str) -> Writer:
    return lambda w, op: w.end(op, slid(w, op, kind, blocksize=int(op.option(0, "i"))))


def _widened(w: Writing, op: Operator) -> None:
    """DEQUANTIZE of float16 weights."""
    if w.tensor(op, 0).dtype != "float16":
        raise Refused(f"it dequantises {w.tensor(op, 0).dtype}")
    w.constants[f"t{op.outputs[0]}"] = w.value(op, 0)


def _cast(w: Writing, op: Operator) -> None:
    """Of ids to other whole numbers, and of places to floats."""
    if w.subgraph.tensors[op.outputs[0]].dtype == "float32" or op.inputs[0] in w.ids:
        return w.end(op, w.given(op, 0))
    raise Refused("it casts to another type than float32")


WRITERS: Mapping[str, Writer] = {
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "MAX_POOL_2D": _pool("MaxPool"),
    "ADD": _both("Add"),
    "SUB": _both("Sub"),
    "MUL": _both("Mul"),
    "DIV": _both("Div"),
    "MAXIMUM": _both("Max"),
    "MINIMUM": _both("Min"),
    "SQUARED_DIFFERENCE": _squared_difference,
    "RELU": _of_one("Relu"),
    "RELU6": _of_one("Clip", 0.0, 6.0),
    "RELU_N1_TO_1": _of_one("Clip", -1.0, 1.0),
    "LOGISTIC": _of_one("Sigmoid"),
    "TANH": _of_one("Tanh"),
    "HARD_SWISH": _of_one("HardSwish"),
    "LEAKY_RELU": _of_one("LeakyRelu", alpha=(0, "f")),
    "ELU": _of_one("Elu"),
    "EXP": _of_one("Exp"),
    "LOG": _of_one("Log"),
    "SQRT": _of_one("Sqrt"),
    "RSQRT": _rsqrt,
    "ABS": _of_one("Abs"),
    "NEG": _of_one("Neg"),
    "GELU": _gelu,
    "SOFTMAX": _softmax,
    "LOG_SOFTMAX": lambda w, op: w.end(op, w.add("LogSoftmax", w.given(op, 0), axis=-1)),
    "PRELU": lambda w, op: w.end(op, w.add("PRelu", w.given(op, 0), w.given(op, 1))),
    "TILE": _repeated,
    "DEPTH_TO_SPACE": _blocks("DepthToSpace"),
    "SPACE_TO_DEPTH": _blocks("SpaceToDepth"),
    "MEAN": _reduced("ReduceMean"),
    "SUM": _reduced("ReduceSum"),
    "REDUCE_MAX": _reduced("ReduceMax"),
    "REDUCE_MIN": _reduced("ReduceMin"),
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), _reshaped),
    "TRANSPOSE": _transposed,
    "CONCATENATION": _joined,
    **dict.fromkeys(("PAD", "PADV2"), _padded),
    "SLICE": _sliced,
    "DEQUANTIZE": _widened,
    "CAST": _cast,
    "POW": lambda w, op: w.end(op, w.add("Pow", w.given(op, 0), w.given(op, 1))),
    "SQUARE": lambda w, op: w.end(op, w.add("Mul", w.given(op, 0), w.given(op, 0))),
    "RELU_0_TO_1": _of_one("Clip", 0.0, 1.0),
    **CELL_WRITERS,
}

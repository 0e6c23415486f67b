"""An .onnx file as plain values: bounded, checked by onnx, its constants folded.

External data may lie in the file's own folder alone. A free batch means 1.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import (  # type: ignore[import-untyped,unused-ignore]
    DecodeError,
)
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper
from onnx import shape_inference as inference

from edgeq.errors import BadInput, ModelFile, UnsupportedOp
from edgeq.frontend.findings import ONLY_OWN

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
MOST_BYTES = 256 << 20
MOST_NODES = 4_000
LARGEST_TENSOR = 1 << 24  # values; far beyond any microcontroller
MOST_AXES = 8
LEAST_OPSET = 13
NAME_LENGTH = 80
DOMAINS = ("", "ai.onnx")
TYPES = {number: name for name, number in TensorProto.DataType.items()}


@dataclass(frozen=True)
class Operator:
    """`name` is the node's, else its first output's. Absent inputs are "". `attributes` are
    numbers, texts, tensors as arrays, lists of those; `read` those that a reader asked for.
    """

    index: int
    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    domain: str = ""
    read: set[str] = field(default_factory=set, compare=False)

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, texts decoded."""
        self.read.add(name)
        value = self.attributes.get(name, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def ints(self, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        """A list of whole numbers."""
        self.read.add(name)
        return tuple(int(n) for n in self.attributes.get(name, default))


INTEGERS = (TensorProto.INT32, TensorProto.INT64)


@dataclass(frozen=True)
class OnnxFile:
    """`inputs` and `outputs`: name -> shape, the batch included. `shapes`: what onnx infers.
    `whole`: inputs of whole numbers.
    """

    inputs: Mapping[str, Shape]
    outputs: tuple[str, ...]
    operators: tuple[Operator, ...]
    constants: Mapping[str, Array]
    shapes: Mapping[str, Shape]
    opset: int
    whole: frozenset[str] = frozenset()


def read_onnx(path: Path, input_shape: Sequence[int] | None = None) -> tuple[OnnxFile, bytes]:
    """(the file, its bytes). `input_shape` without the batch, where the file leaves it open.

    Raises BadInput where there is none, ModelFile for a damaged one, UnsupportedOp for what no
    graph can be: an old opset, open shapes, control flow.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ModelFile(f"{path} has more than {MOST_BYTES >> 20} MiB; no board takes that")
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    return parse(data, path.parent, input_shape), data


def parse(data: bytes, folder: Path, input_shape: Sequence[int] | None = None) -> OnnxFile:
    """As `read_onnx`, of bytes; `folder` is where external data may lie."""
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError, RecursionError) as error:
        raise ModelFile("it is no ONNX file: its bytes are no protobuf message") from error
    _check_bounds(model)
    _bring_in(model, folder)
    _check(model)
    if model.functions:
        model = _inlined(model)
    opset = _opset(model)
    inputs = _inputs(model.graph, input_shape)
    _fix_inputs(model.graph, inputs)
    constants = {t.name: _constant(t) for t in model.graph.initializer}
    operators = tuple(_operator(i, node) for i, node in enumerate(model.graph.node))
    outputs = tuple(v.name for v in model.graph.output)
    return OnnxFile(
        inputs, outputs, operators, constants, _inferred(model), opset, _whole(model.graph)
    )


def _check_bounds(model: ModelProto) -> None:
    graph = model.graph
    if not graph.node or not graph.output:
        raise ModelFile("it holds no graph that computes something")
    if len(graph.node) > MOST_NODES or len(graph.initializer) > MOST_NODES:
        raise ModelFile(f"it has {len(graph.node):,} nodes; at most {MOST_NODES:,}")
    if not all(isinstance(name, str) for name in _names(graph)):
        raise ModelFile("a name in it is no text")
    if graph.sparse_initializer:
        raise UnsupportedOp("it has sparse initialisers; make them dense")
    inner = [n for n in graph.node for a in n.attribute if a.HasField("g") or a.graphs]
    if inner:
        named = ", ".join(f"{n.op_type} ({_shown(n)})" for n in inner[:20])
        raise UnsupportedOp(f"it has control flow, which is not taken{ONLY_OWN}: {named}")
    for tensor in _tensors(model):
        if math.prod(tensor.dims) > LARGEST_TENSOR or min(tensor.dims, default=1) < 0:
            raise ModelFile(f"tensor {tensor.name[:NAME_LENGTH]!r} has shape {[*tensor.dims][:9]}")


def _names(graph: GraphProto) -> Iterator[object]:
    """Every name; protobuf gives bytes for one that is no UTF-8."""
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        yield value.name


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _bring_in(model: ModelProto, folder: Path) -> None:
    """External data as raw bytes. Raises ModelFile for a place outside the folder."""
    room = MOST_BYTES
    for tensor in _tensors(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        entry = {e.key: e.value for e in tensor.external_data}
        raw = _external(entry, folder, tensor.name[:NAME_LENGTH], room)
        room -= len(raw)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = raw


def _external(entry: Mapping[str, str], folder: Path, name: str, room: int) -> bytes:
    location = entry.get("location", "")
    try:
        place = (folder / location).resolve()
        inside = bool(location) and place.is_relative_to(folder.resolve()) and place.is_file()
        if not inside:
            raise ModelFile(
                f"tensor {name!r} has its data in {location[:NAME_LENGTH]!r}, which is no file in "
                "the model's own folder"
            )
        offset, length = int(entry.get("offset", "0")), int(entry.get("length", "-1"))
        size = place.stat().st_size
        length = size - offset if length < 0 else length
        if offset < 0 or length < 0 or offset + length > size or length > room:
            raise ModelFile(f"tensor {name!r} has data outside of {location[:NAME_LENGTH]!r}")
        with place.open("rb") as file:
            file.seek(offset)
            return file.read(length)
    except (OSError, ValueError) as error:
        raise ModelFile(f"tensor {name!r}: its external data cannot be read") from error


def _check(model: ModelProto) -> None:
    try:
        checker.check_model(model)
    except (checker.ValidationError, ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise ModelFile(f"onnx refuses it: {said[:300]}") from error


def _inlined(model: ModelProto) -> ModelProto:
    from onnx import inliner

    try:
        made: ModelProto = inliner.inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise ModelFile("its functions cannot be inlined") from error
    _check_bounds(made)
    return made


def _opset(model: ModelProto) -> int:
    versions = [e.version for e in model.opset_import if e.domain in DOMAINS]
    newest = onnx.defs.onnx_opset_version()
    version = max(versions, default=0)
    if not LEAST_OPSET <= version <= newest:
        raise UnsupportedOp(
            f"it is of opset {version}; {LEAST_OPSET} to {newest} are taken: export it again, or "
            "convert it with onnx.version_converter"
        )
    return version


def _whole(graph: GraphProto) -> frozenset[str]:
    return frozenset(v.name for v in graph.input if v.type.tensor_type.elem_type in INTEGERS)


def _inputs(graph: GraphProto, wanted: Sequence[int] | None) -> dict[str, Shape]:
    """Shapes of what is no initialiser, an open batch as 1. UnsupportedOp where others are open."""
    held = {t.name for t in graph.initializer}
    found: dict[str, Shape] = {}
    for value in graph.input:
        if value.name in held:
            continue
        kind = value.type.tensor_type
        if kind.elem_type not in (TensorProto.FLOAT, *INTEGERS):
            given = TYPES.get(kind.elem_type, "of no known type").lower()
            raise UnsupportedOp(f"input {value.name[:NAME_LENGTH]!r} is {given}, not float32")
        sizes = [d.dim_value if d.HasField("dim_value") else 0 for d in kind.shape.dim]
        if sizes and sizes[0] <= 0:
            sizes[0] = 1
        if wanted is not None:
            _check_sizes(value.name, sizes[1:], wanted)
            sizes = [1, *wanted]
        if any(n <= 0 for n in sizes[1:]) or not sizes:
            dims = zip(kind.shape.dim, sizes, strict=True)
            named = ", ".join(d.dim_param or (str(n) if n > 0 else "?") for d, n in dims)
            raise UnsupportedOp(
                f"input {value.name[:NAME_LENGTH]!r} has open sizes {named}; say them with "
                "--input-shape, without the batch"
            )
        if len(sizes) > MOST_AXES or math.prod(sizes) > LARGEST_TENSOR:
            raise ModelFile(f"input {value.name[:NAME_LENGTH]!r} has shape {sizes[:9]}")
        found[value.name] = tuple(sizes)
    return found


def _check_sizes(name: str, sizes: Sequence[int], wanted: Sequence[int]) -> None:
    """Raises BadInput where the file says other ones."""
    agree = len(sizes) == len(wanted) and all(
        a <= 0 or a == b for a, b in zip(sizes, wanted, strict=False)
    )
    if sizes and (not agree or min(wanted) < 1):
        shown = ",".join(str(n) if n > 0 else "?" for n in sizes)
        raise BadInput(
            f"input {name[:NAME_LENGTH]!r} is {shown} without its batch; --input-shape says "
            f"{','.join(map(str, wanted))}"
        )


def _fix_inputs(graph: GraphProto, inputs: Mapping[str, Shape]) -> None:
    """Writes the sizes into the message, and drops what it states of inner tensors: shapes are
    inferred anew.
    """
    for value in graph.input:
        if value.name in inputs:
            del value.type.tensor_type.shape.dim[:]
            for size in inputs[value.name]:
                value.type.tensor_type.shape.dim.add().dim_value = size
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")


def _inferred(model: ModelProto) -> dict[str, Shape]:
    """Shapes that are known; what onnx cannot infer is absent."""
    try:
        made = inference.infer_shapes(model, data_prop=True)
    except (inference.InferenceError, RuntimeError, ValueError):
        return {}
    found = {}
    for value in (*made.graph.value_info, *made.graph.output):
        sizes = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if value.type.tensor_type.HasField("shape") and all(n > 0 for n in sizes):
            found[value.name] = tuple(sizes)
    return found


def _constant(tensor: TensorProto) -> Array:
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, RuntimeError, KeyError) as error:
        name = tensor.name[:NAME_LENGTH]
        raise ModelFile(f"tensor {name!r} has values that do not fit its shape") from error


def _operator(index: int, node: NodeProto) -> Operator:
    attributes = {a.name: _attribute(a) for a in node.attribute}
    domain = "" if node.domain in DOMAINS else node.domain[:NAME_LENGTH]
    inputs, outputs = tuple(node.input), tuple(node.output)
    return Operator(
        index, node.op_type[:NAME_LENGTH], _shown(node), inputs, outputs, attributes, domain
    )


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    return _constant(value) if isinstance(value, TensorProto) else value


def _shown(node: NodeProto) -> str:
    return (node.name or next((n for n in node.output if n), "no output"))[:NAME_LENGTH]


def folded(operator: Operator, inputs: Sequence[Array | None], opset: int) -> list[Array]:
    """The outputs of an operator of constants, by onnx's own reference. Raises ModelFile."""
    try:
        made = _evaluated(operator, inputs, opset)
    except Exception as error:  # whatever a hostile constant makes it raise
        said = " ".join(str(error).split())[:200]
        raise ModelFile(f"{operator.op} ({operator.name}) of constants fails: {said}") from error
    return made


def _evaluated(operator: Operator, inputs: Sequence[Array | None], opset: int) -> list[Array]:
    from onnx.reference import ReferenceEvaluator

    names = [f"i{i}" if n else "" for i, n in enumerate(operator.inputs)]
    outs = [f"o{i}" for i in range(len(operator.outputs))]
    attributes = {
        k: numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v
        for k, v in operator.attributes.items()
    }
    node = helper.make_node(operator.op, names, outs, **attributes)
    graph = helper.make_graph(
        [node],
        "constants",
        [
            helper.make_tensor_value_info(
                n, helper.np_dtype_to_tensor_dtype(v.dtype), list(v.shape)
            )
            for n, v in zip(names, inputs, strict=True)
            if v is not None
        ],
        [helper.make_empty_tensor_value_info(n) for n in outs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    given = {n: v for n, v in zip(names, inputs, strict=True) if v is not None}
    return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, given)]

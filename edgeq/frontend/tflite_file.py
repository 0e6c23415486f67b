"""A .tflite file as plain values, read within bounds; a tensor's shape is held to its bytes.

Fields are numbered as in TensorFlow Lite's schema.fbs; ops and types have its names.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.errors import BadInput, ModelFile
from edgeq.frontend.flatbuffer import Flatbuffer, Table
from edgeq.ops.int4 import unpack_int4

Array = npt.NDArray[Any]
IDENTIFIER = b"TFL3"
MOST_BYTES = 64 << 20
LARGEST_TENSOR = 1 << 24  # values; far beyond any microcontroller
MOST_AXES = 8
NAME_LENGTH = 80  # of a tensor in a message

OPS = {v: k for k, v in vars(schema.BuiltinOperator).items() if k.isupper()}
TYPES = {v: k.lower() for k, v in vars(schema.TensorType).items() if k.isupper()}
NUMPY = {
    "int8": "i1",
    "int16": "<i2",
    "float16": "<f2",
    "int32": "<i4",
    "int64": "<i8",
    "float32": "<f4",
}


@dataclass(frozen=True)
class Tensor:
    """`shape` with its batch axis, -1 there read as 1. Scales are told apart by their number alone:
    the axis that files state for them is often a legacy one.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    buffer: int
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    dynamic: bool  # some axis but the batch is not known
    special: str  # why it is no plain tensor: variable, sparse

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Operator:
    """`inputs` are tensors by number, -1 for an absent one. A custom op has its own name."""

    index: int
    op: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None

    def option(self, place: int, form: str, default: Any = 0) -> Any:
        """A scalar of the op's options."""
        return default if self.options is None else self.options.number(place, form, default)


@dataclass(frozen=True)
class Subgraph:
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[Operator, ...]


@dataclass(frozen=True)
class TfliteFile:
    subgraphs: tuple[Subgraph, ...]
    buffers: tuple[Table, ...]
    signature: Mapping[int, str] = field(default_factory=dict)  # tensors of the first subgraph
    metadata: Mapping[str, int] = field(default_factory=dict)  # buffers by name
    _constants: dict[int, Array | None] = field(default_factory=dict)

    def is_constant(self, tensor: Tensor) -> bool:
        """Whether the file holds the tensor's values."""
        return self._bytes(tensor) is not None

    def constant(self, tensor: Tensor) -> Array:
        """The values in the tensor's shape; int4 codes as int8. Raises ModelFile for too few."""
        raw = self._bytes(tensor)
        if raw is None:
            raise ModelFile(f"tensor {tensor.name!r} has no values")
        if tensor.dtype == "int4":
            try:
                return unpack_int4(raw, tensor.size).reshape(tensor.shape)
            except ValueError as error:
                raise ModelFile(f"tensor {tensor.name!r} has {error}") from None
        kind = NUMPY.get(tensor.dtype)
        if kind is None or len(raw) != tensor.size * np.dtype(kind).itemsize:
            raise ModelFile(
                f"tensor {tensor.name!r} is {tensor.dtype}{list(tensor.shape)} and has "
                f"{len(raw)} bytes"
            )
        return raw.view(kind).reshape(tensor.shape)

    def note(self, name: str) -> bytes | None:
        """The metadata of that name."""
        found = self._buffer(self.metadata[name]) if name in self.metadata else None
        return None if found is None else found.tobytes()

    def held(self) -> Iterator[bytes]:
        """The bytes of every buffer that holds some."""
        for index in range(len(self.buffers)):
            found = self._buffer(index)
            if found is not None:
                yield found.tobytes()

    def _bytes(self, tensor: Tensor) -> Array | None:
        return self._buffer(tensor.buffer)

    def _buffer(self, index: int) -> Array | None:
        if index not in self._constants:
            table = self.buffers[index]
            if table.number(1, "Q"):
                raise ModelFile("it keeps weights outside its flatbuffer")
            raw = table.numbers(0, "u1")
            self._constants[index] = raw if raw is not None and len(raw) else None
        return self._constants[index]


def is_tflite(path: Path) -> bool:
    """Whether the file says that it is one, whatever its name."""
    try:
        with path.open("rb") as file:
            return file.read(8)[4:] == IDENTIFIER
    except OSError:
        return False


def is_onnx(path: Path) -> bool:
    """Whether it may be an ONNX file: by its first field, ir_version, or by its name."""
    try:
        with path.open("rb") as file:
            head = file.read(3)
    except OSError:
        return False
    begins = len(head) == 3 and head[0] == 0x08 and 3 <= head[1] < 0x80 and head[2] in (0x12, 0x3A)
    return begins or path.suffix.lower() == ".onnx"


def read_bytes(path: Path) -> bytes:
    """The file; BadInput where there is none, ModelFile for one that is too large."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ModelFile(f"{path} has more than {MOST_BYTES >> 20} MiB; no board takes that")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error


def parse(data: bytes) -> TfliteFile:
    """The file's values. Raises ModelFile for anything that points or counts outside of it."""
    if data[4:8] != IDENTIFIER:
        raise ModelFile("it is no TensorFlow Lite file (TFL3)")
    root = Flatbuffer(data).root()
    if root.number(0, "I") != 3:
        raise ModelFile(f"it is of schema version {root.number(0, 'I')}; 3 is known")
    codes = [_code(table) for table in root.tables(1)]
    buffers = tuple(root.tables(4))
    subgraphs = tuple(_subgraph(table, codes, len(buffers)) for table in root.tables(2))
    if not subgraphs:
        raise ModelFile("it holds no subgraph")
    return TfliteFile(subgraphs, buffers, _signature(root), _metadata(root, len(buffers)))


def _metadata(root: Table, buffers: int) -> dict[str, int]:
    """The buffer of each entry by its name."""
    found: dict[str, int] = {}
    for entry in root.tables(6):
        index = entry.number(1, "I")
        if index >= buffers:
            raise ModelFile(f"its metadata has no buffer {index}")
        found.setdefault(entry.text(0)[:NAME_LENGTH], index)
    return found


def _signature(root: Table) -> dict[int, str]:
    """The names that the first signature gives to the ends of the first subgraph."""
    found: dict[int, str] = {}
    for signature in list(root.tables(7))[:1]:
        if signature.number(4, "I"):
            continue
        for side in (0, 1):
            for entry in signature.tables(side):
                found.setdefault(entry.number(1, "I"), entry.text(0)[:NAME_LENGTH])
    return found


def _code(table: Table) -> tuple[str, bool]:
    """(name, whether it is custom): old files have the code in the first field, new in the last."""
    code = max(table.number(0, "b"), table.number(3, "i"))
    name = OPS.get(code, f"operator {code}")
    return (table.text(1)[:NAME_LENGTH] or name, True) if name == "CUSTOM" else (name, False)


def _subgraph(table: Table, codes: list[tuple[str, bool]], buffers: int) -> Subgraph:
    tensors = tuple(_tensor(t, i, buffers) for i, t in enumerate(table.tables(0)))
    operators = []
    for index, each in enumerate(table.tables(3)):
        opcode = each.number(0, "I")
        if opcode >= len(codes):
            raise ModelFile(f"operator {index} has no code {opcode}")
        name, custom = codes[opcode]
        inputs, outputs = _indices(each, 1, len(tensors), -1), _indices(each, 2, len(tensors), 0)
        operators.append(Operator(index, name, custom, inputs, outputs, each.table(4)))
    inputs, outputs = _indices(table, 1, len(tensors), 0), _indices(table, 2, len(tensors), 0)
    return Subgraph(tensors, inputs, outputs, tuple(operators))


def _indices(table: Table, place: int, count: int, least: int) -> tuple[int, ...]:
    numbers = table.numbers(place, "<i4")
    found = () if numbers is None else tuple(numbers.tolist())
    if not all(least <= n < count for n in found):
        raise ModelFile(f"it names a tensor that it does not have, of {count}")
    return found


def _tensor(table: Table, index: int, buffers: int) -> Tensor:
    name = table.text(3)[:NAME_LENGTH] or f"tensor {index}"
    shape, signature = table.numbers(0, "<i4"), table.numbers(7, "<i4")
    axes = [] if shape is None else shape.tolist()
    if axes and axes[0] == -1:
        axes[0] = 1
    if len(axes) > MOST_AXES or min(axes, default=1) < 0 or math.prod(axes) > LARGEST_TENSOR:
        raise ModelFile(f"tensor {name!r} has shape {axes[: MOST_AXES + 1]}")
    if table.number(2, "I") >= buffers:
        raise ModelFile(f"tensor {name!r} has no buffer {table.number(2, 'I')}")
    known = [] if signature is None else signature.tolist()
    special = "a variable" if table.number(5, "?") else "sparse" if table.table(6) else ""
    scale, zero_point = _quantization(table.table(4), name)
    dtype = TYPES.get(table.number(1, "b"), "unknown")
    dynamic = any(n < 0 for n in known[1:]) or 0 in axes
    buffer = table.number(2, "I")
    return Tensor(name, tuple(axes), dtype, buffer, scale, zero_point, dynamic, special)


def _quantization(table: Table | None, name: str) -> tuple[tuple[float, ...], tuple[int, ...]]:
    scales = None if table is None else table.numbers(2, "<f4")
    if table is None or scales is None or not len(scales):
        return (), ()
    zeros = table.numbers(3, "<i8")
    if zeros is None or not len(zeros):
        zeros = np.zeros(len(scales), np.int64)
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise ModelFile(f"tensor {name!r} has a scale that is not positive")
    if len(zeros) not in (1, len(scales)) or np.abs(zeros).max() > 1 << 31:
        raise ModelFile(f"tensor {name!r} has zero points that do not fit its scales")
    return tuple(float(s) for s in scales), tuple(zeros.tolist())

"""The lowered graph while a .tflite file is read into it: what the readers of the ops append to."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from edgeq.frontend.findings import FollowsRefused, Refused
from edgeq.frontend.tflite_file import Operator, Subgraph, Tensor, TfliteFile
from edgeq.ir import Node, Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.copies import Pad
from edgeq.ops.embedding import IDS
from edgeq.ops.reshape import Reshape

Array = npt.NDArray[Any]
Padding = tuple[int, int, int, int]
Pair = tuple[int, int]
NOTHING = (0, 0, 0, 0)


@dataclass(frozen=True)
class GivenMap:
    """A map that a window slides over: `size` with the padding of a PAD before it. `blocks`: cells
    from one to the next in a row, where a SPACE_TO_BATCH_ND has made rows of it.
    """

    size: Pair
    channels: int
    padding: Padding
    blocks: Pair = (1, 1)

    def with_padding(self, more: Padding) -> Padding:
        """The padding of a window that has `more` of its own."""
        top, left, bottom, right = (a + b for a, b in zip(self.padding, more, strict=True))
        return top, left, bottom, right


UNKNOWN = "of a shape that is not known; convert with a batch of 1 (docs/import.md)"
INT8 = frozenset({"int8"})
BOTH = frozenset({"int8", "int16"})


def quant_of_tensor(tensor: Tensor, dtypes: frozenset[str] = INT8) -> Quant:
    """The one scale of an activation, which must be of one of these types. Raises Refused."""
    if tensor.dtype == "int16" and tensor.dtype not in dtypes:
        raise Refused(
            f"{tensor.name!r} is int16, in which this operator has no kernel (docs/import.md lists "
            "those that have); convert it with TFLITE_BUILTINS_INT8"
        )
    if tensor.dtype not in dtypes:
        raise Refused(f"{tensor.name!r} is {tensor.dtype}, not {' or '.join(sorted(dtypes))}")
    if len(tensor.scale) != 1:
        raise Refused(f"{tensor.name!r} has {len(tensor.scale) or 'no'} scales, not one")
    if not -128 <= tensor.zero_point[0] <= 127:
        raise Refused(f"{tensor.name!r} has zero point {tensor.zero_point[0]}")
    if tensor.dtype == "int16" and tensor.zero_point[0]:
        raise Refused(f"{tensor.name!r} is int16 and its zero point is not 0")
    return Quant(tensor.scale, tensor.zero_point[0])


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """Its shape without the batch axis, which is 1; as it is where the first axis is none."""
    shape = tensor.shape
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape or (1,)


@dataclass
class Growing:
    """`names` finds the graph's tensor of each that has been computed; `pads` what a PAD made,
    `rows` the map that a SPACE_TO_BATCH_ND made rows of, `sizes` what is computed of a SHAPE,
    `wide` the codes of whole numbers and what is added to them (tflite_places.py),
    `bounds` where those end.
    """

    file: TfliteFile
    subgraph: Subgraph
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, TensorType] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    pads: dict[int, Padding] = field(default_factory=dict)
    rows: dict[int, tuple[str, GivenMap]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    sizes: set[int] = field(default_factory=set)
    wide: dict[int, tuple[str, int]] = field(default_factory=dict)
    bounds: dict[int, int] = field(default_factory=dict)

    def begin(self, index: int) -> str:
        """Types an activation that no node makes; its name."""
        tensor = self.subgraph.tensors[index]
        name = self.names[index] = f"t{index}"
        quant = quant_of_tensor(tensor, BOTH)
        self.tensors[name] = TensorType(shape_of(tensor), tensor.dtype, quant)
        return name

    def begin_ids(self, index: int) -> None:
        """Types an input of whole numbers, which are int16 on the device."""
        name = self.names[index] = f"t{index}"
        tensor = self.subgraph.tensors[index]
        if tensor.dynamic:
            raise Refused(f"{tensor.name!r} is {UNKNOWN}")
        self.tensors[name] = TensorType(shape_of(tensor), "int16", IDS)
        self.wide[index] = name, 0

    def assume(self, index: int) -> None:
        """What a refused operator would have made, as the file types it: reading goes on."""
        try:
            self.begin(index)
        except Refused:
            self.refused.add(index)

    def is_of_sizes(self, op: Operator) -> bool:
        """Whether it computes whole numbers of tensors' sizes alone, as files with an open batch
        do: what takes them finds the results in its output's shape. Raises Refused for a SHAPE of
        sizes that are not known.
        """
        made = {self.subgraph.tensors[i].dtype for i in op.outputs}
        if not made or not made <= {"int32", "int64"}:
            return False
        tensors = self.subgraph.tensors
        known = [i in self.sizes or self.file.is_constant(tensors[i]) for i in op.inputs if i >= 0]
        found = op.op == "SHAPE" or (all(known) and any(i in self.sizes for i in op.inputs))
        if op.op == "SHAPE":
            self.operand(op, 0)
        if found:
            self.sizes.update(op.outputs)
        return found

    def operand(self, op: Operator, place: int) -> Tensor:
        """The tensor at an input. Raises Refused for one that is absent or no plain tensor."""
        if place >= len(op.inputs) or op.inputs[place] < 0:
            raise Refused(f"it has no input {place}")
        tensor = self.subgraph.tensors[op.inputs[place]]
        if tensor.special or tensor.dynamic:
            why = tensor.special or UNKNOWN
            raise Refused(f"{tensor.name!r} is {why}")
        return tensor

    def output(self, op: Operator, place: int | None = None) -> Tensor:
        """The one tensor it makes; that at `place` where it may make several."""
        if place is None and len(op.outputs) != 1:
            raise Refused(f"it has {len(op.outputs)} outputs")
        tensor = self.subgraph.tensors[op.outputs[place or 0]]
        if tensor.dynamic:
            raise Refused(f"{tensor.name!r} is {UNKNOWN}")
        return tensor

    def constant(self, tensor: Tensor) -> Array:
        """Its values. Raises Refused where they are computed, ModelFile where they are damaged."""
        if not self.file.is_constant(tensor):
            raise Refused(f"{tensor.name!r} is computed, not a constant")
        return self.file.constant(tensor)

    def value(self, op: Operator, place: int, dtypes: frozenset[str] = INT8) -> str:
        """The graph's name of an activation that it reads, which is of one of these types."""
        tensor = self.operand(op, place)
        index = op.inputs[place]
        if index in self.pads:
            return self.padding(index)
        if index in self.refused:
            raise FollowsRefused
        if index in self.rows:
            raise Refused("it reads a SPACE_TO_BATCH_ND, which convolutions alone may")
        quant_of_tensor(tensor, dtypes)
        if index not in self.names:
            constant = self.file.is_constant(tensor)
            raise Refused(f"{tensor.name!r} is {'a constant' if constant else 'not computed yet'}")
        return self.names[index]

    def padding(self, index: int) -> str:
        """A PAD that stands before something else than a window, as a node."""
        name, (top, left, bottom, right) = f"t{index}", self.pads[index]
        quant_of_tensor(self.subgraph.tensors[index])
        if name not in self.tensors:
            attrs, source = Pad((top, left, 0), (bottom, right, 0)), self.names[index]
            shape = self._shape("Pad", attrs, (source,), {})
            self.tensors[name] = TensorType(shape, "int8", self.tensors[source].quant)
            self.nodes.append(Node(f"pad_{index}", "Pad", (source,), (name,), attrs))
        return name

    def scale(self, op: Operator, place: int, dtypes: frozenset[str] = INT8) -> float:
        """The scale of an activation that it reads."""
        return quant_of_tensor(self.operand(op, place), dtypes).per_tensor

    def same_scale(
        self,
        op: Operator,
        count: int = 1,
        place: int | None = None,
        dtypes: frozenset[str] = INT8,
    ) -> None:
        """Raises Refused unless its first inputs and its output share type and scale."""
        made, given = self.output(op, place), [self.operand(op, i) for i in range(count)]
        quant = quant_of_tensor(made, dtypes)
        if any(quant_of_tensor(t, dtypes) != quant or t.dtype != made.dtype for t in given):
            raise Refused("its input and output have different scales")

    def map(self, op: Operator, dtypes: frozenset[str] = INT8) -> tuple[str, GivenMap]:
        """(name, map) of its first input, (1, height, width, channels)."""
        name, shape = self.value(op, 0, dtypes), self.operand(op, 0).shape
        return name, _given(shape, NOTHING)

    def padded_map(self, op: Operator, dtypes: frozenset[str] = INT8) -> tuple[str, GivenMap]:
        """As `map`; where a PAD or a SPACE_TO_BATCH_ND stands before it, what that reads."""
        tensor, index = self.operand(op, 0), op.inputs[0]
        if index in self.rows:
            return self.rows[index]
        if index not in self.pads:
            return self.map(op, dtypes)
        quant_of_tensor(tensor, dtypes)
        return self.names[index], _given(tensor.shape, self.pads[index])

    def pad(self, op: Operator, padding: Padding, dtypes: frozenset[str] = INT8) -> None:
        """Leaves a PAD to the windows that read it."""
        name, shape = self.value(op, 0, dtypes), self.operand(op, 0).shape
        top, left, bottom, right = padding
        wanted = (1, shape[1] + top + bottom, shape[2] + left + right, shape[3])
        if len(shape) != 4 or self.output(op).shape != wanted:
            raise Refused(f"it makes {list(self.output(op).shape)} of {list(shape)}")
        self.names[op.outputs[0]], self.pads[op.outputs[0]] = name, padding

    def constants(
        self,
        op: Operator,
        values: Mapping[str, Array],
        types: Mapping[str, TensorType],
        part: str = "",
    ) -> dict[str, str]:
        """Names of the constants by role, of the operator's node or of one of its parts."""
        names = {role: f"{node_name(op)}{part}.{role}" for role in values}
        for role, value in values.items():
            self.values[names[role]] = value
            self.tensors[names[role]] = types.get(role) or TensorType(value.shape, str(value.dtype))
        return names

    def reshaped(self, op: Operator, source: str, shape: tuple[int, ...], to: str = "rows") -> str:
        """The tensor under another shape, by a node of its own where it has not got it."""
        if self.tensors[source].shape == shape:
            return source
        return self.between(op, "Reshape", Reshape(shape), source, to)

    def between(
        self,
        op: Operator,
        kind: str,
        attrs: Any,
        source: str,
        suffix: str,
        quant: Quant | None = None,
        params: Mapping[str, str] | None = None,
        dtype: str = "int8",
    ) -> str:
        """A node in front of the one that makes the operator's output; of its input's scale, or of
        `quant`.
        """
        name = f"{node_name(op)}_{suffix}"
        shape = self._shape(kind, attrs, (source,), params or {})
        quant = quant or self.tensors[source].quant
        if kind == "Reshape":
            dtype = self.tensors[source].dtype
        self.tensors[name + ".out"] = TensorType(shape, dtype, quant)
        self.nodes.append(Node(name, kind, (source,), (name + ".out",), attrs, params or {}))
        return name + ".out"

    def alias(self, op: Operator, dtypes: frozenset[str] = INT8) -> None:
        """The output is the input's bytes under its own shape."""
        self.renamed(op, self.value(op, 0, dtypes), dtypes)

    def renamed(self, op: Operator, source: str, dtypes: frozenset[str] = INT8) -> None:
        """The output is that tensor's bytes under its own shape."""
        made = self.output(op)
        if self.operand(op, 0).size != made.size:
            raise Refused(f"it makes {list(made.shape)} of {list(self.operand(op, 0).shape)}")
        self.add(op, "Reshape", Reshape(shape_of(made)), (source,), dtypes=dtypes)

    def add(
        self,
        op: Operator,
        kind: str,
        attrs: Any,
        sources: tuple[str, ...],
        params: Mapping[str, str] | None = None,
        place: int | None = None,
        quant: Quant | None = None,
        dtypes: frozenset[str] = INT8,
    ) -> None:
        """The node that makes the operator's output, of the file's type and scale unless `quant` is
        another, of an int8; its shape must be what the file says.
        """
        made, index = self.output(op, place), op.outputs[place or 0]
        dtype = "int8" if quant else made.dtype
        quant = quant or quant_of_tensor(made, dtypes)
        shape = self._shape(kind, attrs, sources, params or {})
        if math.prod(shape) != made.size:
            raise Refused(f"it computes {list(shape)}, the file says {list(made.shape)}")
        name = node_name(op) if not place else f"{node_name(op)}_{place}"
        out = f"t{index}"
        if out in self.tensors:
            raise Refused(f"{made.name!r} is computed twice")
        direct = shape == shape_of(made)
        first = out if direct else name + ".out"
        self.tensors[first] = TensorType(shape, dtype, quant)
        self.nodes.append(Node(name, kind, sources, (first,), attrs, params or {}))
        if not direct:
            again = Reshape(shape_of(made))
            self.tensors[out] = TensorType(again.shape, dtype, quant)
            self.nodes.append(Node(name + "_shape", "Reshape", (first,), (out,), again))
        self.names[index] = out

    def _shape(
        self, kind: str, attrs: Any, sources: tuple[str, ...], params: Mapping[str, str]
    ) -> tuple[int, ...]:
        values = {role: self.values[name] for role, name in params.items()}
        try:
            shapes = tuple(self.tensors[s].shape for s in sources)
            return OPS[kind].result_shape(attrs, shapes, values)
        except ValueError as error:
            raise Refused(str(error)) from None


def _given(shape: tuple[int, ...], padding: Padding) -> GivenMap:
    if len(shape) != 4 or shape[0] != 1:
        raise Refused(f"it slides over {list(shape)}, not over one map")
    return GivenMap((shape[1], shape[2]), shape[3], padding)


def node_name(op: Operator) -> str:
    """What the graph calls the operator."""
    return f"{op.op.lower()}_{op.index}"

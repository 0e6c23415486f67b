"""A float Graph that grows from a file whose axes lie otherwise: what its readers append to.

A tensor of the graph has the axes of the file's in an order of its own. Nothing is moved until an
op wants another order, so that channels-first networks become channels-last ones without a
transpose.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.frontend.findings import Refused
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ir.c_names import unique
from edgeq.ops import OPS
from edgeq.ops.copies import Transpose
from edgeq.ops.functions import Rescale
from edgeq.ops.graph_builder import LARGEST_TENSOR
from edgeq.ops.op import Io, Scale
from edgeq.ops.reshape import Reshape

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
UNIT = -1  # an axis of 1 that the file's tensor has not got


@dataclass(frozen=True)
class Value:
    """An activation as the file has it, batch included.

    `axes`: which axis of `shape` each axis of the graph's tensor is; axes of 1 may be missing.
    `flat`: (shape, axes) of a map that was flattened as it lies: the last axis of `shape` counts
    its cells in the file's order, the tensor's in its own.
    """

    name: str
    shape: Shape
    axes: tuple[int, ...]
    flat: tuple[Shape, tuple[int, ...]] | None = None

    @property
    def index(self) -> Array:
        """Of a flattened map: the file's place of each cell of the tensor."""
        assert self.flat is not None  # the caller asked
        shape, axes = self.flat
        order = (*(i for i in range(len(shape)) if i not in axes), *(a for a in axes if a >= 0))
        places = np.arange(math.prod(shape)).reshape(shape)
        return np.ascontiguousarray(places.transpose(order)).reshape(-1)


@dataclass
class FloatGraph:
    """`prefix` names the nodes of the operator that is being read."""

    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, TensorType] = field(default_factory=dict)
    values: dict[str, Array] = field(default_factory=dict)
    prefix: str = ""
    _names: set[str] = field(default_factory=set)

    def begin(self, name: str, shape: Shape) -> str:
        """Types the graph's input."""
        self.tensors[name] = TensorType(shape)
        return name

    def shape_of(self, name: str) -> Shape:
        """Of a tensor of the graph."""
        return self.tensors[name].shape

    def add(
        self,
        op: str,
        attrs: object,
        sources: Sequence[str],
        constants: Mapping[str, Array] | None = None,
    ) -> str:
        """Appends a node; the name of what it makes. Raises Refused when shapes do not fit."""
        name = unique(self.prefix, self._names)
        given = dict(constants or {})
        try:
            shapes = tuple(self.tensors[s].shape for s in sources)
            shape = OPS[op].result_shape(attrs, shapes, given)
        except (ValueError, IndexError) as error:
            raise Refused(str(error)) from None
        if math.prod(shape) > LARGEST_TENSOR or any(n < 1 for n in shape):
            raise Refused(f"it makes {list(shape)}: more than a board could hold, or nothing")
        params = {role: f"{name}.{role}" for role in given}
        for role, value in given.items():
            self.values[params[role]] = value
            self.tensors[params[role]] = TensorType(value.shape, str(value.dtype))
        out = f"{name}.out"
        self.nodes.append(Node(name, op, tuple(sources), (out,), attrs, params))
        self.tensors[out] = TensorType(tuple(shape))
        return out

    def reshaped(self, name: str, shape: Sequence[int]) -> str:
        """The tensor under another shape; itself where it has it."""
        if self.tensors[name].shape == tuple(shape):
            return name
        return self.add("Reshape", Reshape(tuple(shape)), (name,))

    def ordered(self, value: Value, wanted: Sequence[int]) -> str:
        """The graph's tensor with exactly these axes of the file's (UNIT: an axis of 1).

        Every axis larger than 1 must be among them. A node that moves cells only where it must.
        """
        if value.flat is not None:
            value = self.unflattened(value)
        shape = [1 if a == UNIT else value.shape[a] for a in wanted]
        given = [a for a in value.axes if a != UNIT and value.shape[a] > 1]
        target = [a for a in wanted if a != UNIT and value.shape[a] > 1]
        if sorted(given) != sorted(target):
            raise Refused(f"it needs axes {[*wanted]} of {list(value.shape)}")
        name = value.name
        if given != target:
            name = self.reshaped(name, [value.shape[a] for a in given])
            perm = tuple(given.index(a) for a in target)
            name = self.add("Transpose", Transpose(perm), (name,))
        return self.reshaped(name, shape)

    def unflattened(self, value: Value) -> Value:
        """A flattened map in the file's own order of cells."""
        assert value.flat is not None  # the caller asked
        shape, axes = value.flat
        name = self.reshaped(value.name, [1 if a == UNIT else shape[a] for a in axes])
        name = self.ordered(Value(name, shape, axes), range(len(shape)))
        return Value(self.reshaped(name, value.shape), value.shape, tuple(range(len(value.shape))))

    def plain(self, value: Value) -> str:
        """The tensor in the file's own order, without the batch."""
        if value.shape[:1] not in ((), (1,)):
            raise Refused(f"it has a batch of {value.shape[0]}")
        return self.ordered(value, range(1, len(value.shape)))

    def producer(self, name: str) -> Node | None:
        """The node that makes a tensor, most often one of the last."""
        return next((node for node in reversed(self.nodes) if name in node.outputs), None)

    def settled(self, name: str, quant: Quant) -> str:
        """The tensor with a scale and zero point that a file gives it, under which its producer
        answers; a Rescale behind it where that has another.
        """
        kind = self.tensors[name]
        if kind.quant == quant:
            return name
        if kind.quant is None and self._takes(name, quant):
            self.tensors[name] = replace(kind, quant=quant)
            return name
        made = self.add("Rescale", Rescale(), (name,))
        self.tensors[made] = replace(self.tensors[made], quant=quant)
        return made

    def _takes(self, name: str, quant: Quant) -> bool:
        """Whether one without a scale can have that; what it must share is given it."""
        node = self.producer(name)
        if node is None:
            return True
        io = Io(tuple(self.tensors[s] for s in node.inputs), self.tensors[name])
        scale = OPS[node.op].scale(node.attrs, io)
        if scale is Scale.JOINED:
            for source in node.inputs:
                if self.tensors[source].quant is None and self._takes(source, quant):
                    self.tensors[source] = replace(self.tensors[source], quant=quant)
        if scale in (Scale.OWN, Scale.JOINED):
            return True
        if isinstance(scale, Quant):
            return scale == quant
        source = node.inputs[0]
        if self.tensors[source].quant is None and self._takes(source, quant):
            self.tensors[source] = replace(self.tensors[source], quant=quant)
        return self.tensors[source].quant == quant

    def finished(self, name: str, entries: Sequence[str], outputs: Mapping[str, str]) -> Graph:
        """The frozen graph; `outputs`: tensors by name."""
        ends, nodes = (tuple(entries), tuple(outputs.values())), tuple(self.nodes)
        names = (ends[0] if len(entries) > 1 else (), tuple(outputs) if len(outputs) > 1 else ())
        return without_dead(Graph(name, *ends, nodes, self.tensors, self.values, *names))


def without_dead(graph: Graph) -> Graph:
    """Without nodes that no output needs."""
    needed = graph.making(graph.outputs)
    return graph.with_nodes(node for node in graph.nodes if node.name in needed).pruned()

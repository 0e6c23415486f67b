"""One node with the graph around it: what an op is told when its facts depend on types."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeq.ir import Graph, Node, Quant, TensorType

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Io:
    """Types around one node: its inputs and its (first) output."""

    inputs: tuple[TensorType, ...]
    output: TensorType


@dataclass(frozen=True)
class Site:
    """A node of a graph. Shapes have no batch axis; constants are found by role."""

    graph: Graph
    node: Node

    @property
    def io(self) -> Io:
        tensors = self.graph.tensors
        inputs = tuple(tensors[name] for name in self.node.inputs)
        return Io(inputs, tensors[self.node.outputs[0]])

    @property
    def params(self) -> Mapping[str, Array]:
        return self.graph.params(self.node)

    def param(self, role: str) -> Array:
        return self.graph.param(self.node, role)

    def number(self, role: str) -> Array:
        """A constant of one element, without axes: its dtype is the C type."""
        return self.param(role).reshape(())

    def real(self, role: str) -> Array:
        """A constant as float32, dequantised."""
        return dequantize(self.graph, self.node.params[role])

    def type_of_param(self, role: str) -> TensorType:
        return self.graph.tensors[self.node.params[role]]

    def input_quant(self, index: int = 0) -> Quant:
        return quant_of(self.graph.tensors[self.node.inputs[index]])

    @property
    def output_quant(self) -> Quant:
        return quant_of(self.graph.tensors[self.node.outputs[0]])

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.graph.tensors[self.node.inputs[0]].shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.graph.tensors[self.node.outputs[0]].shape

    @property
    def output_size(self) -> int:
        return self.graph.tensors[self.node.outputs[0]].size


def quant_of(t: TensorType) -> Quant:
    """Quantisation of a tensor that must have one."""
    if t.quant is None:
        raise ValueError("tensor is not quantised")
    return t.quant


def dequantize(graph: Graph, name: str) -> Array:
    """A constant as float32: codes times scales, or the value itself when it has none."""
    value, quant = graph.constants[name], graph.tensors[name].quant
    if quant is None:
        return value.astype(np.float32) if value.dtype.kind == "f" else value
    scale = np.asarray(quant.scale, dtype=np.float32)
    if quant.axis is not None and scale.size > 1:
        shape = [1] * value.ndim
        shape[quant.axis] = scale.size
        scale = scale.reshape(shape)
    return np.asarray(value.astype(np.float32) * scale)

"""Grows a Graph node by node; keeps the current tensor and how its features are ordered."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edgeq.errors import UnsupportedOp
from edgeq.ir import Graph, Node, Quant, TensorType
from edgeq.ops import OPS
from edgeq.ops.op import Array

LARGEST_TENSOR = 1 << 24  # far beyond any microcontroller: shapes may come from an untrusted file


@dataclass(frozen=True)
class Cursor:
    """The tensor that the next layer reads.

    `order` maps a flat channels-last position to PyTorch's position after a Flatten of a feature
    map; None while both orders are one.
    """

    name: str
    shape: tuple[int, ...]
    order: Array | None = None


@dataclass
class Builder:
    """Mutable while loading; `graph` freezes it. `unsupported` collects what has no op."""

    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, TensorType] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)
    orders: dict[str, Array | None] = field(default_factory=dict)  # of tensors' features
    unsupported: list[str] = field(default_factory=list)

    def input(self, name: str, shape: tuple[int, ...], order: Array | None = None) -> Cursor:
        if math.prod(shape) > LARGEST_TENSOR:
            raise UnsupportedOp(
                f"an input of {shape}, {math.prod(shape):,} values; at most {LARGEST_TENSOR:,}"
            )
        self.tensors[name] = TensorType(shape)
        self.orders[name] = order
        return Cursor(name, shape, order)

    def producer(self, tensor: str) -> str | None:
        """The op of the node that makes a tensor."""
        return next((node.op for node in self.nodes if tensor in node.outputs), None)

    def constant(self, name: str, value: Array, quant: Quant | None = None) -> str:
        self.constants[name] = value
        self.tensors[name] = TensorType(value.shape, str(value.dtype), quant)
        return name

    def add(
        self,
        op: str,
        name: str,
        attrs: object,
        inputs: tuple[Cursor, ...],
        params: Mapping[str, str] | None = None,
        order: Array | None = None,
    ) -> Cursor:
        """Appends a node; its output is named after it. ValueError when shapes do not fit."""
        params = dict(params or {})
        values = {role: self.constants[n] for role, n in params.items()}
        shape = OPS[op].result_shape(attrs, tuple(c.shape for c in inputs), values)
        if math.prod(shape) > LARGEST_TENSOR:
            raise ValueError(
                f"makes {shape}, {math.prod(shape):,} values; at most {LARGEST_TENSOR:,}"
            )
        names = tuple(c.name for c in inputs)
        self.nodes.append(Node(name, op, names, (f"{name}.out",), attrs, params))
        self.tensors[f"{name}.out"] = TensorType(shape)
        self.orders[f"{name}.out"] = order
        return Cursor(f"{name}.out", shape, order)

    def graph(self, name: str, entry: str, outputs: tuple[str, ...]) -> Graph:
        """The frozen graph."""
        return Graph(name, (entry,), outputs, tuple(self.nodes), self.tensors, self.constants)


def channels_last_order(channels: int, height: int, width: int) -> Array | None:
    """Position in (C, H, W) order of each element in (H, W, C) order; None when they agree."""
    if channels == 1 or height * width == 1:
        return None
    index = np.arange(channels * height * width).reshape(channels, height, width)
    return np.ascontiguousarray(index.transpose(1, 2, 0)).ravel()

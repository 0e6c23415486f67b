"""A graph that is being loaded, and the constants of its layers: codes as trained."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from edgeq.ir import Quant
from edgeq.nn import layers
from edgeq.ops.graph_builder import Builder, Cursor
from edgeq.ops.op import Array


@dataclass
class Loading(Builder):
    """A Builder that knows whether the constants' values matter, and which modules were unknown."""

    shapes_only: bool = False
    strangers: list[str] = field(default_factory=list)
    carried: Cursor | None = None  # what an exit hands to the next expert

    def values(self, tensor: torch.Tensor) -> Array:
        """A tensor's float32 values, or zeros of its shape."""
        if self.shapes_only:
            return np.zeros(tuple(tensor.shape), np.float32)
        return tensor.numpy().astype(np.float32)


def weight(b: Loading, m: layers.QuantLayer, path: str, place: Callable[[Array], Array]) -> str:
    """The weight constant; `place` brings PyTorch's axes into the op's order."""
    if m.kind == "ptq":
        return b.constant(f"{path}.weight", place(b.values(m.weight)))
    dtype = np.int16 if m.weight_format == "s16" else np.int8
    axis = 2 if getattr(m, "depthwise", False) else 0
    if b.shapes_only:
        nothing = place(np.zeros(tuple(m.weight.shape), dtype))
        return b.constant(f"{path}.weight", nothing, Quant((1.0,), 0, axis))
    codes, scale = m.quantized()
    values = np.ascontiguousarray(place(codes.numpy()).astype(dtype))
    scales = np.maximum(scale.numpy().astype(np.float32), np.float32(1e-12))
    if m.per_tensor:
        scales = scales[:1]
    return b.constant(f"{path}.weight", values, Quant(tuple(float(s) for s in scales), 0, axis))


def bias(b: Loading, m: layers.QuantLayer, path: str) -> str:
    """The bias constant, zeros for a layer without one."""
    size = m.weight.shape[0]
    value = np.zeros(size, np.float32) if m.bias is None else b.values(m.bias)
    return b.constant(f"{path}.bias", value)


def ordered(order: Array | None) -> Callable[[Array], Array]:
    """Brings the columns of a weight into the order of the features before it."""
    return (lambda w: w) if order is None else (lambda w: w[:, order])


def same_size(what: str, wanted: int, given: int) -> None:
    """ValueError when a layer takes another number of them than what is before it gives."""
    if wanted != given:
        raise ValueError(f"takes {wanted} {what}, what is before it gives {given}")

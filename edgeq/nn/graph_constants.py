"""A graph that is being loaded, and the constants of its layers: codes as trained."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from edgeq.ir import Quant
from edgeq.nn import layers
from edgeq.ops.block_fully_connected import BlockFullyConnected
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
    scales = scale.numpy()[:1] if m.per_tensor else scale.numpy()
    return b.constant(f"{path}.weight", values, quant_of_rows(scales, axis))


def quant_of_rows(scales: Array, axis: int = 0) -> Quant:
    """A scale a row, none of them 0."""
    own = np.maximum(scales.astype(np.float32), np.float32(1e-12))
    return Quant(tuple(float(s) for s in own), 0, axis)


def blocked(b: Loading, m: layers.QuantLayer, path: str) -> dict[str, str]:
    """The weight (out, in) and the block scales of a layer that has some, by role."""
    out, inputs = m.weight.shape[:2]
    assert m.block is not None
    if b.shapes_only:
        codes, scale = np.zeros((out, inputs), np.int8), np.ones(out, np.float32)
        scales = np.ones((out, -(-inputs // m.block)), np.uint8)
    else:
        made = [part.numpy() for part in m.blocks()]
        codes, scales = made[0].astype(np.int8), made[1].astype(np.uint8)
        scale = made[2]
    return {
        "weight": b.constant(f"{path}.weight", codes, quant_of_rows(scale)),
        "block_scale": b.constant(f"{path}.block_scale", scales),
    }


def in_blocks(
    b: Loading, m: layers.Linear | layers.Conv1d | layers.Conv2d, path: str, x: Cursor
) -> Cursor:
    """The node of a layer with block scales. ValueError behind a flattened map."""
    assert m.block is not None
    if x.order is not None:
        raise ValueError(
            "has block scales behind a flattened map, whose features the device holds in another "
            "order; use GlobalAvgPool before it, or block=None"
        )
    params = {**blocked(b, m, path), "bias": bias(b, m, path)}
    attrs = BlockFullyConnected(m.weight_format, m.block)
    return b.add("BlockFullyConnected", path, attrs, (x,), params)


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


def pair(value: tuple[int, ...]) -> tuple[int, int]:
    """The first two."""
    return value[0], value[1]

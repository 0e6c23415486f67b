"""Convolutions of PyTorch: in one group, in several, or depthwise; transposed ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeq.frontend.grouped import Sliding, filters_of, repeated
from edgeq.frontend.placed import Placing
from edgeq.frontend.transposed import Pair, stuffed, turned
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.op import Array
from edgeq.ops.reshape import Reshape
from edgeq.ops.window import spanned


@dataclass
class _Named:
    """Nodes in front of a layer, named after it and what they are for."""

    b: Placing
    name: str
    what: str

    def shape_of(self, name: str) -> tuple[int, ...]:
        return self.b.tensors[name].shape

    def reshaped(self, name: str, shape: Sequence[int]) -> str:
        return self.add("Reshape", Reshape(tuple(shape)), (name,))

    def add(self, op: str, attrs: object, sources: Sequence[str]) -> str:
        given = tuple(Cursor(each, self.shape_of(each)) for each in sources)
        return self.b.add(op, self.b.fresh(f"{self.name}.{self.what}"), attrs, given).name


def layer(b: Placing, name: str, weight: Array, bias: Array) -> dict[str, str]:
    """The constants of a layer, by role."""
    placed = np.ascontiguousarray(weight)
    return {
        "weight": b.constant(f"{name}.weight", placed),
        "bias": b.constant(f"{name}.bias", np.ascontiguousarray(bias)),
    }


def convolved(
    b: Placing, name: str, x: Cursor, weight: Array, bias: Array, window: Sliding, groups: int
) -> Cursor:
    """A map (H, W, C) through filters (out, C / groups, kh, kw)."""
    return _through(b, name, x.name, weight.transpose(0, 2, 3, 1), bias, window, groups)


def spread_apart(
    b: Placing,
    name: str,
    x: Cursor,
    weight: Array,
    bias: Array,
    window: Sliding,
    more: Pair,
    groups: int,
) -> Cursor:
    """A transposed convolution: the map with zeros between its cells through filters
    (C, out / groups, kh, kw). `window` slides over its output; `more` cells stand at that's end.
    """
    stride, dilation = window.stride, window.dilation
    kernel = spanned(weight.shape[2:], dilation)
    before = _Named(b, name, "stuffed")
    source, padding = stuffed(before, x.name, kernel, stride, window.padding, more)
    own = Sliding((1, 1), padding, dilation)
    return _through(b, name, source, turned(weight, groups), bias, own, groups)


def _through(
    b: Placing, name: str, source: str, weight: Array, bias: Array, window: Sliding, groups: int
) -> Cursor:
    """Of weights (outputs, height, width, channels of a group)."""
    made = filters_of(weight, window, groups)
    source = repeated(_Named(b, name, "repeat"), source, made.times)
    given = Cursor(source, b.tensors[source].shape)
    return b.add(made.op, name, made.attrs, (given,), layer(b, name, made.weight, bias))

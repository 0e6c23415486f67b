"""Convolutions of PyTorch in groups: depthwise, depthwise with a multiplier, or one a group."""

import numpy as np

from edgeq.frontend.findings import Refused
from edgeq.frontend.placed import Placing
from edgeq.ops.concat import Concat
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.copies import Expand, Slice
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.graph_builder import Cursor
from edgeq.ops.op import Array
from edgeq.ops.reshape import Reshape

MOST_GROUPS = 64  # of several channels: each is a layer of its own
Window = tuple[tuple[int, int], tuple[int, int, int, int]]
"""(stride, padding)."""


def layer(b: Placing, name: str, weight: Array, bias: Array) -> dict[str, str]:
    """The constants of a layer, by role."""
    placed = np.ascontiguousarray(weight)
    return {
        "weight": b.constant(f"{name}.weight", placed),
        "bias": b.constant(f"{name}.bias", np.ascontiguousarray(bias)),
    }


def convolved(
    b: Placing, name: str, x: Cursor, weight: Array, bias: Array, window: Window, groups: int
) -> Cursor:
    """A map (H, W, C) through filters (out, C / groups, kh, kw).

    Groups of one channel are depthwise, each channel repeated where it feeds several outputs;
    others are convolutions of their channels, joined. Raises Refused for too many of them.
    """
    if groups == 1:
        return _plain(b, name, x, weight, bias, window)
    if weight.shape[1] == 1:
        x = _repeated(b, f"{name}.repeat", x, len(weight) // groups)
        params = layer(b, name, weight[:, 0].transpose(1, 2, 0), bias)
        return b.add("DepthwiseConv2D", name, DepthwiseConv2D(*window), (x,), params)
    if groups > MOST_GROUPS:
        raise Refused(
            f"{groups} groups of {weight.shape[1]} channels; {MOST_GROUPS} are taken, or one "
            "channel each"
        )
    height, width, channels = x.shape
    depth, outputs, parts = channels // groups, len(weight) // groups, []
    for i in range(groups):
        attrs = Slice((0, 0, i * depth), (height, width, depth), (1, 1, 1))
        part = b.add("Slice", b.fresh(f"{name}.part"), attrs, (x,))
        rows = slice(i * outputs, (i + 1) * outputs)
        own = b.fresh(f"{name}.group")
        parts.append(_plain(b, own, part, weight[rows], bias[rows], window))
    return b.add("Concat", name, Concat(2), tuple(parts))


def _plain(b: Placing, name: str, x: Cursor, weight: Array, bias: Array, window: Window) -> Cursor:
    params = layer(b, name, weight.transpose(0, 2, 3, 1), bias)
    return b.add("Conv2D", name, Conv2D(*window), (x,), params)


def _repeated(b: Placing, name: str, x: Cursor, times: int) -> Cursor:
    """Each channel `times` times, one after another."""
    if times == 1:
        return x
    height, width, channels = x.shape
    apart = Reshape((height, width, channels, 1))
    x = b.add("Reshape", b.fresh(f"{name}.apart"), apart, (x,))
    wide = Expand((height, width, channels, times))
    x = b.add("Expand", b.fresh(f"{name}.wide"), wide, (x,))
    together = Reshape((height, width, channels * times))
    return b.add("Reshape", b.fresh(name), together, (x,))

"""Convolutions in groups, for every reader: in one, in several, or depthwise."""

from dataclasses import dataclass

import numpy as np

from edgeq.frontend.transposed import Making, Padding, Pair
from edgeq.ops.conv_2d import Conv2D
from edgeq.ops.copies import Expand
from edgeq.ops.depthwise_conv_2d import DepthwiseConv2D
from edgeq.ops.op import Array


@dataclass(frozen=True)
class Sliding:
    """How a window slides; `padding` is (top, left, bottom, right)."""

    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)


@dataclass(frozen=True)
class Filters:
    """A convolution as the graph has it, behind `times` copies of each channel."""

    op: str
    attrs: Conv2D | DepthwiseConv2D
    weight: Array
    times: int


def filters_of(weight: Array, window: Sliding, groups: int) -> Filters:
    """Of weights (outputs, height, width, channels of a group). Groups of one channel are
    depthwise, each channel repeated where it feeds several outputs.
    """
    stride, padding, dilation = window.stride, window.padding, window.dilation
    if groups == 1 or weight.shape[3] > 1:
        placed = np.ascontiguousarray(weight)
        attrs = Conv2D(stride, padding, dilation=dilation, groups=groups)
        return Filters("Conv2D", attrs, placed, 1)
    placed = np.ascontiguousarray(weight[..., 0].transpose(1, 2, 0))
    depthwise = DepthwiseConv2D(stride, padding, dilation=dilation)
    return Filters("DepthwiseConv2D", depthwise, placed, len(weight) // groups)


def repeated(g: Making, name: str, times: int) -> str:
    """Each channel of a map so many times, one after another: a depth multiplier."""
    if times == 1:
        return name
    height, width, channels = g.shape_of(name)
    name = g.reshaped(name, (height, width, channels, 1))
    name = g.add("Expand", Expand((height, width, channels, times)), (name,))
    return g.reshaped(name, (height, width, channels * times))

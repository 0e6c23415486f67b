"""Sliding windows over channels-last maps, shared by convolutions and pools."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from edgeq.ops import weighted
from edgeq.ops.op import Fields, Reach, Site, clamp_fields, with_entry, zero_point_fields

Array = npt.NDArray[Any]
Pair = tuple[int, int]
Padding = tuple[int, int, int, int]  # top, left, bottom, right


class Strided(Protocol):
    """Attributes of a pool."""

    stride: Pair


class Padded(Strided, Protocol):
    """Attributes of a convolution."""

    padding: Padding
    dilation: Pair


def spanned(kernel: Sequence[int], dilation: Pair) -> Pair:
    """(height, width) from the first to the last tap of a kernel."""
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1


def output_size(size: Pair, kernel: Pair, stride: Pair, padding: Padding) -> Pair:
    """(height, width) of the result; ValueError when the kernel is larger than the padded map."""
    if min(stride) < 1 or min(kernel) < 1 or min(padding) < 0:
        raise ValueError(f"no window has kernel {kernel}, stride {stride}, padding {padding}")
    height = (size[0] + padding[0] + padding[2] - kernel[0]) // stride[0] + 1
    width = (size[1] + padding[1] + padding[3] - kernel[1]) // stride[1] + 1
    if height < 1 or width < 1:
        raise ValueError(f"kernel {kernel} is larger than the padded input {size} + {padding}")
    return height, width


def window_reach(
    attrs: Strided, kernel: Sequence[int], axis: int, *, anew: bool = False
) -> Reach | None:
    """`Op.reach` of a window that slides along the height (axis 0) or the width (1) of a map."""
    if axis > 1:
        return None
    padding = getattr(attrs, "padding", None)
    if padding is None:
        return Reach(lambda _: attrs, kernel[axis], attrs.stride[axis], 0, anew)
    kernel = spanned(kernel, getattr(attrs, "dilation", (1, 1)))
    inside = replace(
        cast(Any, attrs), padding=with_entry(with_entry(padding, axis, 0), axis + 2, 0)
    )
    return Reach(lambda _: inside, kernel[axis], attrs.stride[axis], padding[axis], anew)


def windows(
    x: Array, kernel: Pair, stride: Pair, padding: Padding, fill: float, dilation: Pair = (1, 1)
) -> Array:
    """View of x (rows, H, W, C) as (rows, out_h, out_w, C, kernel_h, kernel_w)."""
    top, left, bottom, right = padding
    padded = np.pad(
        x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=np.asarray(fill, x.dtype)
    )
    view = np.lib.stride_tricks.sliding_window_view(padded, spanned(kernel, dilation), axis=(1, 2))
    return np.asarray(
        view[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]],
    )


def window_fields(
    site: Site, kernel: Sequence[int], padding: Sequence[int], prefix: str = ""
) -> Fields:
    """The members of an edgeq_window; `prefix` names one inside another struct ("window.")."""
    attrs: Strided = site.node.attrs
    out = site.output_shape
    return _members(prefix, site.input_shape, out[:2], kernel, attrs.stride, padding)


def one_cell_fields(channels: int, prefix: str = "") -> Fields:
    """The same of a window of one cell on a map of one."""
    return _members(prefix, (1, 1, channels), (1, 1), (1, 1), (1, 1), (0, 0))


def _members(
    prefix: str,
    given: Sequence[int],
    made: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> Fields:
    sizes = {
        "input_height": given[0],
        "input_width": given[1],
        "channels": given[2],
        "output_height": made[0],
        "output_width": made[1],
        "kernel_height": kernel[0],
        "kernel_width": kernel[1],
        "stride_height": stride[0],
        "stride_width": stride[1],
        "padding_top": padding[0],
        "padding_left": padding[1],
    }
    return tuple((prefix + name, value) for name, value in sizes.items())


def convolution_fields(site: Site, kernel: Sequence[int]) -> Fields:
    """edgeq_conv_2d_params of a convolution or a depthwise one."""
    attrs: Padded = site.node.attrs
    window = window_fields(site, kernel, attrs.padding, "window.")
    sizes: Fields = (("outputs", site.output_shape[2]),)
    ends = zero_point_fields(site) + clamp_fields(site)
    return weighted.POINTERS + window + sizes + ends

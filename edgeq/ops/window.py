"""Sliding windows over channels-last maps, shared by convolutions and pools."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Pair = tuple[int, int]
Padding = tuple[int, int, int, int]  # top, left, bottom, right


def output_size(size: Pair, kernel: Pair, stride: Pair, padding: Padding) -> Pair:
    """(height, width) of the result; ValueError when the kernel is larger than the padded map."""
    if min(stride) < 1 or min(kernel) < 1 or min(padding) < 0:
        raise ValueError(f"no window has kernel {kernel}, stride {stride}, padding {padding}")
    height = (size[0] + padding[0] + padding[2] - kernel[0]) // stride[0] + 1
    width = (size[1] + padding[1] + padding[3] - kernel[1]) // stride[1] + 1
    if height < 1 or width < 1:
        raise ValueError(f"kernel {kernel} is larger than the padded input {size} + {padding}")
    return height, width


def windows(x: Array, kernel: Pair, stride: Pair, padding: Padding, fill: float) -> Array:
    """View of x (rows, H, W, C) as (rows, out_h, out_w, C, kernel_h, kernel_w)."""
    top, left, bottom, right = padding
    padded = np.pad(
        x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=np.asarray(fill, x.dtype)
    )
    view = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    return np.asarray(view[:, :: stride[0], :: stride[1]])

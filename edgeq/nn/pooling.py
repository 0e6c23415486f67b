"""Pooling: windows, and the mean over all of space."""

import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.layers import Pair, positive, spread


class _Pool2d(nn.Module):
    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        dilation: Pair = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        size = spread(kernel_size, 2, f"{name}: kernel_size")
        self.kernel_size = positive(f"{name}: kernel_size", size)
        self.stride = self.kernel_size
        if stride is not None:
            self.stride = positive(f"{name}: stride", spread(stride, 2, f"{name}: stride"))
        self.padding = spread(padding, 2, f"{name}: padding")
        if dilation not in (1, (1, 1)) or ceil_mode:
            raise BadInput(
                f"{name}: dilation {dilation}, ceil_mode {ceil_mode}; there are kernels for "
                "dilation 1 and ceil_mode False only"
            )
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise BadInput(
                f"{name}: padding {self.padding} is more than half the window {self.kernel_size}"
            )


class MaxPool2d(_Pool2d):
    """Largest value of each window of (N, C, H, W); stride defaults to the window."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pool2d):
    """Mean of each window of (N, C, H, W); padding is not counted, as in TFLite."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H', W')."""
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding, count_include_pad=False)


class GlobalAvgPool(nn.Module):
    """Mean over every axis behind the channels: (N, C, ...) -> (N, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> (N, C); (N, C) passes unchanged."""
        return x.flatten(2).mean(2) if x.dim() > 2 else x

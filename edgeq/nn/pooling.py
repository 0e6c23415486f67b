"""Pooling: windows, and the mean over all of space."""

import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.nn.layers import Pair, spread


class _Pool2d(nn.Module):
    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> None:
        super().__init__()
        self.kernel_size = spread(kernel_size, 2)
        self.stride = self.kernel_size if stride is None else spread(stride, 2)
        self.padding = spread(padding, 2)


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

"""How layers are put together, and the layers without weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput


class Sequential(nn.Sequential):
    """Layers one after the other; children are named "0", "1", ..."""


class Residual(nn.Module):
    """shortcut(x) + body(x); the shortcut defaults to the identity."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Both branches must give one shape."""
        kept: Tensor = x if self.shortcut is None else self.shortcut(x)
        out: Tensor = kept + self.body(x)
        return out


class ReLU(nn.Module):
    """max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.relu(x)


class ReLU6(nn.Module):
    """min(max(x, 0), 6)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.relu6(x)


class Flatten(nn.Module):
    """(N, ...) -> (N, features), channels outermost as PyTorch lays them out."""

    def forward(self, x: Tensor) -> Tensor:
        """At least (N, 1)."""
        return x.flatten(1)


class Dropout(nn.Module):
    """Random dropout in training, nothing in evaluation."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise BadInput(f"Dropout: p is {p}; allowed are 0 to 1")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.dropout(x, self.p, self.training)


class Delay(nn.Module):
    """One frame of memory: each row gives the row before it. The rows of a batch are a sequence
    that begins after a reset, whose first answer is zeros.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; rows along the first axis."""
        return torch.cat([torch.zeros_like(x[:1]), x[:-1]])


class Softmax(nn.Module):
    """Probabilities over the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, classes) -> (N, classes)."""
        return F.softmax(x, dim=-1)

"""Functions of one number without arguments, and Clip: FUNCTIONS joins them to ACTIVATIONS."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.ops.functions import LEAST_OF_LOG, LEAST_OF_RSQRT, MOST_OF_EXP

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Abs",
    "Clip",
    "Exp",
    "HardSigmoid",
    "Log",
    "Mish",
    "Neg",
    "Rsqrt",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Sqrt",
    "Tanh",
]


class Activation(nn.Module):
    """`op` is the row of edgeq.ops.OPS that it becomes. `fields` are its arguments and the op's
    attributes, with the least and the largest value that a model file may ask for.
    """

    op: ClassVar[str]
    fields: ClassVar[Mapping[str, tuple[float, float]]] = {}


class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    op = "Sigmoid"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return torch.sigmoid(x)


class Tanh(Activation):
    """tanh(x)."""

    op = "Tanh"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return torch.tanh(x)


class HardSigmoid(Activation):
    """min(max(x + 3, 0), 6) / 6."""

    op = "HardSigmoid"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.hardsigmoid(x)


class SiLU(Activation):
    """x * sigmoid(x), Swish by another name."""

    op = "Silu"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.silu(x)


class GELU(Activation):
    """x times the normal distribution's function at x."""

    op = "Gelu"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.gelu(x)


class ELU(Activation):
    """x, below zero exp(x) - 1."""

    op = "Elu"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.elu(x)


class SELU(Activation):
    """1.0507 times ELU with alpha 1.6733 (arXiv 1706.02515)."""

    op = "Selu"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.selu(x)


class Softplus(Activation):
    """log(1 + exp(x))."""

    op = "Softplus"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.softplus(x)


class Mish(Activation):
    """x * tanh(softplus(x))."""

    op = "Mish"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.mish(x)


class Exp(Activation):
    """exp(x), from 88 on exp(88)."""

    op = "Exp"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return torch.exp(x.clamp(max=MOST_OF_EXP))


class Log(Activation):
    """log(x), below 1e-12 that of 1e-12."""

    op = "Log"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return torch.log(x.clamp(min=LEAST_OF_LOG))


class Sqrt(Activation):
    """sqrt(x), below zero 0."""

    op = "Sqrt"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return torch.sqrt(x.clamp(min=0))


class Rsqrt(Activation):
    """1 / sqrt(x), below 1e-12 that of 1e-12."""

    op = "Rsqrt"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return torch.rsqrt(x.clamp(min=LEAST_OF_RSQRT))


class Abs(Activation):
    """|x|."""

    op = "Abs"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return torch.abs(x)


class Neg(Activation):
    """-x."""

    op = "Neg"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return -x


class Clip(Activation):
    """x between `low` and `high`."""

    op = "Clip"
    fields: ClassVar[Mapping[str, tuple[float, float]]] = {"low": (-1e6, 0.0), "high": (0.0, 1e6)}

    def __init__(self, low: float = -1.0, high: float = 1.0) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return torch.clamp(x, self.low, self.high)


FUNCTIONS: tuple[type[Activation], ...] = (
    Sigmoid,
    Tanh,
    HardSigmoid,
    SiLU,
    GELU,
    ELU,
    SELU,
    Softplus,
    Mish,
    Exp,
    Log,
    Sqrt,
    Rsqrt,
    Abs,
    Neg,
    Clip,
)

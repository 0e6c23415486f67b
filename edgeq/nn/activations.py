"""Layers that are a function of one number.

ACTIVATIONS is the table: the model file, the loader and edgeq.nn take a class from it as it is.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from edgeq.nn import functions
from edgeq.nn.functions import *  # noqa: F403
from edgeq.nn.functions import FUNCTIONS, Activation

__all__ = ["ACTIVATIONS", "Activation", "HardSwish", "LeakyReLU", *functions.__all__]


class HardSwish(Activation):
    """x * min(max(x + 3, 0), 6) / 6."""

    op = "HardSwish"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.hardswish(x)


class LeakyReLU(Activation):
    """x, below zero times `negative_slope`."""

    op = "LeakyRelu"
    fields: ClassVar[Mapping[str, tuple[float, float]]] = {"negative_slope": (0.0, 1.0)}

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.leaky_relu(x, self.negative_slope)


ACTIVATIONS: tuple[type[Activation], ...] = (HardSwish, LeakyReLU, *FUNCTIONS)

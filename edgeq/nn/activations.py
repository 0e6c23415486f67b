"""Layers that are a function of one number.

ACTIVATIONS is the table: the model file, the loader and edgeq.nn take a class from it as it is.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ACTIVATIONS", "Activation", "HardSwish"]


class Activation(nn.Module):
    """`op` is the row of edgeq.ops.OPS that it becomes. `fields` are its arguments and the op's
    attributes, with the least and the largest value that a model file may ask for.
    """

    op: ClassVar[str]
    fields: ClassVar[Mapping[str, tuple[float, float]]] = {}


class HardSwish(Activation):
    """x * min(max(x + 3, 0), 6) / 6."""

    op = "HardSwish"

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return F.hardswish(x)


ACTIVATIONS: tuple[type[Activation], ...] = (HardSwish,)

"""SVDF: filters of each frame, summed over the frames before it (arXiv 1812.02802)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeq.errors import BadInput
from edgeq.nn.layers import QuantLayer
from edgeq.nn.recurrence import svdf
from edgeq.nn.recurrent import RECURRENT_KINDS
from edgeq.nn.weight_kinds import weight_kind

MOST_TAPS = 1024  # of a unit


class _Filters(QuantLayer):
    """(N, T, inputs) -> (N, T, filters): one scale, no bias."""

    def __init__(self, filters: int, inputs: int, kind: str | int) -> None:
        name = weight_kind(kind).name
        if name not in RECURRENT_KINDS:
            raise BadInput(
                f"SVDF weights of kind {name!r} have no kernel; choose from "
                f"{', '.join(RECURRENT_KINDS)}"
            )
        shape = (filters, inputs)
        super().__init__(shape, name, False, per_tensor=True, threshold=0.15, act_quant=True)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.act(x), self.effective_weight())


class _Taps(QuantLayer):
    """Weights (filters, memory) over time, of int8 or float; what they read is int16."""

    def __init__(self, filters: int, memory: int, kind: str) -> None:
        shape, own = (filters, memory), "ptq" if kind == "ptq" else "int8"
        super().__init__(shape, own, False, per_tensor=True, threshold=0.15, act_quant=False)


class SVDF(torch.nn.Module):
    """(N, input_size, T) -> (N, units, T), zeros before the first frame; with `last` the last
    frame's units, (N, units).

    A unit is the sum of `rank` filters, each a product of the frame (weights of `kind`: ternary,
    int3 to int8, or ptq) that is weighted over the last `memory` frames (int8, or float), and a
    bias. Filters are kept in int16. Raises BadInput for other kinds, and for more than 1024 taps a
    unit.
    """

    def __init__(
        self,
        input_size: int,
        units: int,
        memory: int,
        kind: str | int = "int8",
        rank: int = 1,
        last: bool = False,
    ) -> None:
        super().__init__()
        if rank < 1 or memory < 1 or rank * memory > MOST_TAPS:
            raise BadInput(
                f"SVDF has {rank} filters of {memory} taps a unit; give 1 to {MOST_TAPS} in all"
            )
        self.input_size, self.units, self.memory = input_size, units, memory
        self.rank, self.last = rank, last
        self.filters = _Filters(units * rank, input_size, kind)
        self.taps = _Taps(units * rank, memory, self.filters.kind)
        self.bias = torch.nn.Parameter(torch.zeros(units))

    @property
    def kind(self) -> str:
        """Of the filters."""
        return self.filters.kind

    def forward(self, x: Tensor) -> Tensor:
        """Raises BadInput when `x` is not (N, input_size, T)."""
        if x.dim() != 3 or x.shape[1] != self.input_size:
            raise BadInput(f"SVDF takes (N, {self.input_size}, T), got {tuple(x.shape)}")
        taps = self.taps.effective_weight().t()
        found = svdf(self.filters(x.transpose(1, 2)), taps, self.rank, self.memory - 1) + self.bias
        return found[:, -1] if self.last else found.transpose(1, 2)

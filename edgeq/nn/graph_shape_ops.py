"""The float ops that move values, or compute two operands, in PyTorch: rows of `graph_ops`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeq.ops.broadcast import AddBroadcast, AddConstant, Mul, MulConstant, Sub
from edgeq.ops.copies import Pad, ResizeNearest, Slice
from edgeq.ops.resize_linear import ONE, ResizeLinear

Tensors = Mapping[str, Tensor]
Forward = Callable[[Any, Sequence[Tensor], Tensors], Tensor]
"""(attributes, activations (rows, *shape), constants by role) -> (rows, *shape)."""


def clamped(activation: str, x: Tensor) -> Tensor:
    """A fused activation."""
    if activation == "relu":
        return F.relu(x)
    return F.relu6(x) if activation == "relu6" else x


def _operands(x: Sequence[Tensor], c: Tensors) -> tuple[Tensor, Tensor]:
    """Both with the batch axis in front and one rank."""
    a, b = x[0], x[1] if len(x) == 2 else c["other"][None]
    rank = max(a.dim(), b.dim())
    return _with_rank(a, rank), _with_rank(b, rank)


def _with_rank(x: Tensor, rank: int) -> Tensor:
    return x.reshape(len(x), *[1] * (rank - x.dim()), *x.shape[1:])


def _sum(signs: tuple[int, int] = (1, 1)) -> Forward:
    def forward(a: AddBroadcast | Sub | AddConstant, x: Sequence[Tensor], c: Tensors) -> Tensor:
        first, second = a.sign if isinstance(a, AddConstant) else signs
        left, right = _operands(x, c)
        return clamped(a.activation, first * left + second * right)

    return forward


def _product(a: Mul | MulConstant, x: Sequence[Tensor], c: Tensors) -> Tensor:
    left, right = _operands(x, c)
    return clamped(a.activation, left * right)


def _slice(a: Slice, x: Sequence[Tensor], _: Tensors) -> Tensor:
    made = x[0]
    for axis, (start, size, step) in enumerate(zip(a.start, a.size, a.step, strict=True)):
        if (start, size, step) != (0, made.shape[axis + 1], 1):
            made = made.index_select(axis + 1, start + step * torch.arange(size))
    return made


def _pad(a: Pad, x: Sequence[Tensor], _: Tensors) -> Tensor:
    ends = zip(reversed(a.before), reversed(a.after), strict=True)
    return F.pad(x[0], [n for pair in ends for n in pair], value=a.value)


def _resize(a: ResizeNearest, x: Sequence[Tensor], _: Tensors) -> Tensor:
    return x[0].repeat_interleave(a.factor[0], 1).repeat_interleave(a.factor[1], 2)


def _resize_linear(a: ResizeLinear, x: Sequence[Tensor], _: Tensors) -> Tensor:
    made = x[0]
    for axis, places in ((1, a.down), (2, a.across)):
        at = torch.tensor(places)
        share = (at % ONE / ONE).reshape(-1, *[1] * (made.dim() - axis - 1))
        low, high = (made.index_select(axis, n) for n in (at // ONE, -(-at // ONE)))
        made = low + (high - low) * share
    return made


SHAPE_FORWARDS: Mapping[str, Forward] = {
    "Concat": lambda a, x, _: torch.cat(list(x), a.axis + 1),
    "Transpose": lambda a, x, _: x[0].permute(0, *(p + 1 for p in a.perm)),
    "Slice": _slice,
    "Expand": lambda a, x, _: x[0].expand(len(x[0]), *a.shape),
    "Pad": _pad,
    "ResizeNearest": _resize,
    "Gather": lambda a, x, _: x[0].index_select(a.axis + 1, torch.tensor(a.places)),
    "ResizeLinear": _resize_linear,
    "AddBroadcast": _sum((1, 1)),
    "Sub": _sum((1, -1)),
    "AddConstant": _sum(),
    "Mul": _product,
    "MulConstant": _product,
    "Minimum": lambda _, x, c: torch.minimum(*_operands(x, c)),
    "Maximum": lambda _, x, c: torch.maximum(*_operands(x, c)),
}

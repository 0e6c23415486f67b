"""ParetoQ's weight quantisers: the step of each row is learned beside the weights.

Sources: ParetoQ (Liu et al., arXiv 2502.02631), which is elastic binarisation for one bit,
stretched elastic quantisation for 1.58 and 2 bits, and LSQ (Esser et al., arXiv 1902.08153) from 3
bits on. In codes of a step s, with a = the paper's alpha:

| kind | levels | codes | s | a weight takes a gradient while |
|---|---|---|---|---|
| int1 | -a, a | -1, 1 | a | abs(w) <= a |
| ternary | -2a/3, 0, 2a/3 | -1, 0, 1 | 2a/3 | abs(w) <= a: three bins of one width |
| int2 | -3a/4, -a/4, a/4, 3a/4 | -3, -1, 1, 3 | a/4 | abs(w) <= a: four bins of one width |
| int3 to int8 | s * code | symmetric, as packed | s | abs(w) <= s * top |

The two-bit levels have no zero: as odd codes they are the packing s2, whose kernels are there.
LSQ's lowest level (-4 of 3 bits) is left out, as edgeq's packings are symmetric. Steps are stored
and trained as logarithms (Jain et al., arXiv 1903.08066): a step of Adam then is a share of them,
whatever their size, and they stay above zero.
"""

import math

import torch
from torch import Tensor

from edgeq.errors import BadInput
from edgeq.nn.weight_kinds import WeightKind, codes_at

STRAIGHT_THROUGH, PARETOQ = QUANTIZERS = ("straight_through", "paretoq")
_TINY = 1e-12
_STRETCHED = {"int1": 1.0, "ternary": 1.5, "int2": 4.0}  # a / s
_LEARNED = (*_STRETCHED, *(f"int{k}" for k in range(3, 9)))


def learns(kind: WeightKind) -> bool:
    """Whether there are learned steps for that kind: int1 to int8, and ternary."""
    return kind.name in _LEARNED


def checked_quantizer(quantizer: str, kind: WeightKind) -> str:
    """The name of a quantiser; BadInput for an unknown one, and for a kind that it has not."""
    if quantizer not in QUANTIZERS:
        raise BadInput(f"quantizer is {quantizer!r}; choose one of {', '.join(QUANTIZERS)}")
    if quantizer == PARETOQ and not learns(kind):
        raise BadInput(
            f"{kind.name} weights have no learned steps; paretoq is for {', '.join(_LEARNED)}: "
            f"leave {kind.name} layers {STRAIGHT_THROUGH}"
        )
    return quantizer


def steps_at_start(rows: Tensor, kind: WeightKind) -> Tensor:
    """Logarithms of the steps (rows,) that a training of (rows, weights) begins with.

    As ParetoQ begins: mean abs for one bit, else the largest weight at the edge of the levels.
    """
    magnitude = rows.detach().abs()
    if kind.name == "int1":
        step = magnitude.mean(1)
    else:
        step = magnitude.amax(1) / _edge(kind)
    return step.clamp_min(_TINY).log()


def learned_codes(rows: Tensor, log_step: Tensor, kind: WeightKind) -> tuple[Tensor, Tensor]:
    """(codes like `rows`, step (rows,)): what the firmware ships, but for a bound on its norms."""
    step = log_step.detach().exp()
    return codes_at(rows, step, kind), step


def learned_weight(rows: Tensor, log_step: Tensor, kind: WeightKind, codes: Tensor) -> Tensor:
    """codes * step, with gradients for `rows` (rows, weights) and `log_step` (rows,)."""
    made: Tensor = _Learned.apply(rows, log_step, kind, codes)  # type: ignore[no-untyped-call]
    return made


def _edge(kind: WeightKind) -> float:
    """The largest weight that takes a gradient, in steps."""
    return _STRETCHED.get(kind.name, float(kind.top))


class _Kept(torch.autograd.function.FunctionCtx):
    """What the way back needs of the way there."""

    saved_tensors: tuple[Tensor, ...]
    kind: WeightKind


class _Learned(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Kept, rows: Tensor, log_step: Tensor, kind: WeightKind, codes: Tensor
    ) -> Tensor:
        step = log_step.exp()
        ctx.save_for_backward(rows, codes, step)
        ctx.kind = kind
        return codes * step[:, None]

    @staticmethod
    def backward(ctx: _Kept, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """A level moves with the step by its code, less where the weight in it stays behind."""
        rows, codes, step = ctx.saved_tensors
        place = rows / step[:, None]
        inside = (place.abs() <= _edge(ctx.kind)).to(rows.dtype)
        moved = codes if ctx.kind.name == "int1" else codes - place * inside
        damping = 1.0 / math.sqrt(rows.shape[1] * ctx.kind.top)  # LSQ's, for other optimisers
        return grads[0] * inside, (grads[0] * moved).sum(1) * step * damping, None, None

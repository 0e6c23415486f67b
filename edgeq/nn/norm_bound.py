"""A bound on the norm of every row of weights, kept in training: packed sums cannot overflow.

Sources: A2Q (Colbert et al., arXiv 2308.13504; before it 2301.13376): |sum x w| <= max|x| * sum|w|,
so a bound on a row's l1 norm is a proof for its accumulator. A2Q+ (arXiv 2401.10432) begins with
the Euclidean projection onto that l1 ball. Here every forward projects the codes: of all whole
numbers within the norm they are the nearest to the weights, so that the bound holds in training, in
the file and in the export alike. The weights behind them stay free and come back when they grow.
"""

import torch
from torch import Tensor

from edgeq.errors import BadInput
from edgeq.nn.weight_kinds import WeightKind

_HALVINGS = 24
_TINY = 1e-12


def checked_norm(most: int | None, kind: WeightKind) -> int | None:
    """The bound; BadInput for one below 1, and for kinds that cannot keep it."""
    if most is None:
        return None
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise BadInput(f"max_norm is {most!r}; give a whole number of 1 or more, or None")
    if kind.name in ("int1", "int2", "ptq"):
        why = "are made at the export" if kind.name == "ptq" else "have no zero"
        raise BadInput(
            f"{kind.name} weights {why}, so no norm can be kept; max_norm is for ternary and int3 "
            "to int16"
        )
    return most


@torch.no_grad()
def within_norm(codes: Tensor, rows: Tensor, step: Tensor, most: int) -> Tensor:
    """`codes` with sum |code| <= most in each row, the nearest to `rows` in steps; all but `step`
    (out,) are (out, weights). Rows that keep the bound stay as they are.
    """
    over = codes.abs().sum(1) > most
    if not bool(over.any()):
        return codes
    kept = codes.clone()
    own, place = codes[over], rows[over].abs() / step[over].clamp_min(_TINY)[:, None]
    kept[over] = own.sign() * _shrunk(own.abs(), place, most)
    return kept


def _shrunk(top: Tensor, place: Tensor, most: int) -> Tensor:
    """Soft thresholding, then rounding: the least threshold that keeps the bound, by halving; what
    room ties leave goes to the first of them."""
    low = torch.full((len(top), 1), -0.5, dtype=place.dtype)
    high = place.amax(1, keepdim=True) + 0.5
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        fits = _at(top, place, middle).sum(1, keepdim=True) <= most
        low, high = torch.where(fits, low, middle), torch.where(fits, middle, high)
    made = _at(top, place, high)
    more = _at(top, place, low) - made
    room = most - made.sum(1, keepdim=True)
    return made + more * (more.cumsum(1) <= room)


def _at(top: Tensor, place: Tensor, threshold: Tensor) -> Tensor:
    return torch.minimum(top, (place - threshold).round_().clamp_min_(0))


def refitted(codes: Tensor, rows: Tensor, step: Tensor) -> Tensor:
    """The steps (out,) of the least squared error; of rows without codes those they had."""
    norm = codes.square().sum(1)
    match = torch.linalg.vecdot(rows, codes)
    return torch.where(norm > 0, match / norm.clamp_min(1.0), step)

"""Weight kinds: how float weights become the integer codes and the scales that a layer ships."""

from dataclasses import dataclass

import torch
from torch import Tensor

from edgeq.errors import BadInput


@dataclass(frozen=True)
class WeightKind:
    """One kind: its name, its packing token, the bits it counts for, its largest code.

    `stored_bits` is the width of the packing: more than `bits` where no packing is that narrow.
    """

    name: str
    token: str
    bits: float
    top: int
    stored_bits: int


# Width of each packing token, narrowest first; widths between two travel in the wider one.
_PACKED = ((1, "b1"), (2, "s2"), (3, "s3"), (4, "s4"), (8, "s8"), (16, "s16"))


def _whole(bits: int) -> WeightKind:
    """int<bits>: symmetric, 2^(bits-1) - 1 at most; int2 has the levels -3, -1, 1, 3."""
    stored, token = next(row for row in _PACKED if row[0] >= bits)
    top = {1: 1, 2: 3}.get(bits, 2 ** (bits - 1) - 1)
    return WeightKind(f"int{bits}", token, float(bits), top, stored)


KINDS: dict[str, WeightKind] = {
    "ternary": WeightKind("ternary", "t2", 1.58, 1, 2),
    **{kind.name: kind for kind in map(_whole, range(1, 17))},
    "ptq": WeightKind("ptq", "s8", 8.0, 127, 8),
}

# MSE-optimal steps of a Gaussian with 4, 7, 15, 31, 63 and 127 levels, in standard deviations; the
# candidates around it cover flatter and heavier-tailed rows.
_GAUSSIAN_STEP = {
    "int2": 0.498,
    "int3": 0.65,
    "int4": 0.35,
    "int5": 0.19,
    "int6": 0.105,
    "int7": 0.057,
}
_CANDIDATES = (0.8, 1.1, 1.6, 2.3)
_S16_CODE_SUM = (2**31 - 2**24) // 255  # sum|codes| * 255 then stays inside an int32
_TINY = 1e-12


def weight_kind(kind: str | int) -> WeightKind:
    """The kind of that name; the integers k = 1 to 16 are accepted for int<k>.

    Raises BadInput for anything else.
    """
    name = f"int{kind}" if isinstance(kind, int) else kind
    if name not in KINDS:
        raise BadInput(f"unknown weight kind {kind!r}; choose one of {', '.join(KINDS)}")
    return KINDS[name]


@torch.no_grad()
def quantize_weight(
    weight: Tensor, kind: WeightKind, *, per_tensor: bool = False, threshold: float = 0.15
) -> tuple[Tensor, Tensor]:
    """Codes (float tensor of whole numbers, shaped like `weight`) and scale (out,).

    `weight` is (out, ...); codes * scale approximates it. Symmetric, one scale per output row or,
    with `per_tensor`, one for all (repeated). A row of zeros gets codes 0 and scale 1.
    """
    rows = weight.detach().reshape(1 if per_tensor else weight.shape[0], -1)
    if kind.name == "ternary":
        codes, scale = _ternary(rows, threshold)
    elif kind.name == "int1":
        codes, scale = _signs(rows)
    elif kind.name in _GAUSSIAN_STEP:
        codes, scale = _least_squares(rows, kind)
    else:
        codes, scale = _max_abs(rows, kind)
    if kind.name in ("int1", "int2"):  # these have no code 0: the scale alone can say "nothing"
        scale = scale.clamp_min(_TINY)
    else:
        dead = scale < _TINY
        codes, scale = codes.masked_fill(dead, 0.0), scale.masked_fill(dead, 1.0)
    return codes.reshape(weight.shape), scale.flatten().expand(weight.shape[0])


@torch.no_grad()
def codes_at(weight: Tensor, scale: Tensor, kind: WeightKind) -> Tensor:
    """The nearest codes (float tensor, shaped like `weight`) at given steps: scale (out,)."""
    rows = weight.detach().reshape(weight.shape[0], -1)
    if kind.name == "int1":
        return _signs(rows)[0].reshape(weight.shape)
    return _round(rows, scale[:, None], kind).reshape(weight.shape)


def centred(rows: Tensor) -> Tensor:
    """What ternary codes are the signs of. A row is centred where that keeps most of it: without
    its mean a row of one weight, or of equal weights, would be nothing."""
    mean = rows.mean(1, keepdim=True)
    spread = (rows - mean).square().mean(1, keepdim=True)
    return torch.where(spread < mean * mean, rows, rows - mean)


def _ternary(rows: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    about = centred(rows)
    magnitude = about.abs()
    keep = (magnitude >= threshold * magnitude.mean(1, keepdim=True)).to(rows.dtype)
    scale = (magnitude * keep).sum(1, keepdim=True) / keep.sum(1, keepdim=True).clamp_min(1.0)
    return about.sign() * keep, scale


def _signs(rows: Tensor) -> tuple[Tensor, Tensor]:
    one = torch.ones((), dtype=rows.dtype, device=rows.device)
    return torch.where(rows >= 0, one, -one), rows.abs().mean(1, keepdim=True)


def _round(rows: Tensor, scale: Tensor, kind: WeightKind) -> Tensor:
    """Nearest code: whole numbers, or for int2 the odd numbers -3, -1, 1, 3 (ParetoQ's levels)."""
    safe = scale.clamp_min(_TINY)
    if kind.name == "int2":
        return (rows / (2.0 * safe)).floor_().mul_(2.0).add_(1.0).clamp_(-kind.top, kind.top)
    return (rows / safe).round_().clamp_(-kind.top, kind.top)


def _least_squares(rows: Tensor, kind: WeightKind) -> tuple[Tensor, Tensor]:
    """The candidate whose codes c fit best: with the least-squares scale <w,c>/<c,c> the squared
    error is |w|^2 - <w,c>^2/<c,c>, so two sums rank a candidate without forming its error."""
    peak = rows.abs().amax(1, keepdim=True) / kind.top  # short rows have no tail worth clipping
    step = rows.square().mean(1, keepdim=True).sqrt() * _GAUSSIAN_STEP[kind.name]
    best, scale = torch.zeros_like(step), torch.zeros_like(step)
    for ratio in _CANDIDATES:
        codes = _round(rows, torch.minimum(peak, step * ratio), kind)
        match = torch.linalg.vecdot(rows, codes)[:, None]
        norm = codes.square().sum(1, keepdim=True).clamp_min(1.0)
        gain = match * match / norm
        scale = torch.where(gain > best, match / norm, scale)
        best = torch.maximum(best, gain)
    return _round(rows, scale, kind), scale


def _max_abs(rows: Tensor, kind: WeightKind) -> tuple[Tensor, Tensor]:
    magnitude = rows.abs()
    scale = magnitude.amax(1, keepdim=True) / kind.top
    if kind.token == "s16":
        room = _S16_CODE_SUM - (rows.shape[1] + 1) // 2  # rounding may add 1/2 per code
        if room <= 0:
            raise BadInput(f"a row of {rows.shape[1]} {kind.name} weights cannot fit an int32 sum")
        # summed in float64, and one part in a million up: float32 rounding must not lose the proof
        total = magnitude.double().sum(1, keepdim=True) / room * (1.0 + 1e-6)
        scale = torch.maximum(scale, total.to(scale.dtype))
    return _round(rows, scale, kind), scale

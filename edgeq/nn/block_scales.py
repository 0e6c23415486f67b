"""Weights with a scale for every block of a row: what 4 bits and fewer gain most by.

Source: k-bit inference scaling laws (Dettmers and Zettlemoyer, arXiv 2212.09720). A block's scale
is a byte times the row's, so that the device's sums stay whole numbers (edgeq/ops/
block_fully_connected.py).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from edgeq.errors import BadInput
from edgeq.nn.weight_kinds import WeightKind, quantize_weight
from edgeq.ops.block_fully_connected import BLOCKS, MOST_SCALE

_KINDS = ("ternary", "int4")


def checked_block(block: int | None, kind: WeightKind, shape: Sequence[int]) -> int | None:
    """Inputs of a block; BadInput for another number, kind, or layer than there are kernels for."""
    if block is None:
        return None
    if isinstance(block, bool) or block not in BLOCKS:
        raise BadInput(f"block is {block!r}; give one of {', '.join(map(str, BLOCKS))}, or None")
    if kind.name not in _KINDS:
        raise BadInput(f"{kind.name} weights have no block scales; {' and '.join(_KINDS)} have")
    if any(side != 1 for side in shape[2:]):
        raise BadInput(f"block scales are for Linear and 1x1 convolutions, not {tuple(shape[2:])}")
    return block


@torch.no_grad()
def block_codes(
    weight: Tensor, kind: WeightKind, block: int, threshold: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(codes (out, in), block scales (out, blocks), step (out,)), float tensors, scales and codes
    whole numbers: codes * block scale * step is `weight` (out, in), nearly.
    """
    out, inputs = weight.shape
    whole = inputs // block * block
    parts = [weight[:, :whole].reshape(-1, block), weight[:, whole:]]
    made = [quantize_weight(p, kind, threshold=threshold) for p in parts if p.numel()]
    codes = torch.cat([c.reshape(out, -1) for c, _ in made], 1)
    steps = torch.cat(
        [(s * c.any(1)).reshape(out, -1) for c, s in made],
        1,  # a block of zeros wants none
    )
    step = steps.amax(1) / MOST_SCALE
    step = torch.where(step > 0, step, torch.ones_like(step))
    scales = (steps / step[:, None]).round_().clamp_(1, MOST_SCALE)
    return codes, scales, step


def over_blocks(scales: Tensor, block: int, inputs: int) -> Tensor:
    """(out, blocks) to (out, inputs)."""
    return scales.repeat_interleave(block, dim=1)[:, :inputs]

"""A cascade's signals in PyTorch: (N,) of logits (N, C), or of heads (N, K, C)."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def gap(logits: Tensor) -> Tensor:
    """Largest less second largest logit."""
    best = torch.topk(logits, 2, dim=-1).values
    return best[:, 0] - best[:, 1]


def entropy(logits: Tensor) -> Tensor:
    """Of their softmax, in nats."""
    ln_p = torch.log_softmax(logits, dim=-1)
    return -(ln_p.exp() * ln_p).sum(-1)


def spread(heads: Tensor) -> Tensor:
    """Unbiased variance of the heads' probabilities, summed over classes."""
    p = torch.softmax(heads.double(), dim=-1)
    return p.var(dim=1, unbiased=True).sum(-1).to(heads.dtype)


def ensemble(heads: Tensor) -> Tensor:
    """The gap of the logits summed over heads."""
    return gap(heads.sum(1))


TORCH_SIGNALS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gap": gap,
    "entropy": entropy,
    "monte_carlo": spread,
    "ensemble": ensemble,
    "router": spread,
}

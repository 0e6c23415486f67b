"""Curiosity: how the router's uncertainty moves the route (method: arXiv 2511.11743).

The published rule normalises u over the batch; here u_min, u_max and the escalation threshold are
constants frozen on a calibration set, so that a sample's route never depends on its neighbours.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

RULES = ("precision_prior", "escalation", "off")
LOW_QUANTILE, HIGH_QUANTILE = 0.05, 0.95


def precision_weights(bits: Sequence[float]) -> Tensor:
    """beta (E,) float64: (bits - min) / (max - min); zeros when all bits are equal."""
    b = torch.tensor(list(bits), dtype=torch.float64)
    span = b.max() - b.min()
    return (b - b.min()) / span if bool(span > 0) else torch.zeros_like(b)


def most_precise(bits: Sequence[float]) -> int:
    """Index of the expert with the most bits; ties go to the lower index."""
    return max(range(len(bits)), key=lambda e: (bits[e], -e))


def quantiles(u: Tensor, escalation: float) -> tuple[float, float, float]:
    """(u_min, u_max, threshold): the 5 %, 95 % and `escalation` quantiles of u (N,)."""
    q = torch.tensor([LOW_QUANTILE, HIGH_QUANTILE, escalation], dtype=torch.float64)
    low, high, threshold = torch.quantile(u.double(), q).tolist()
    return low, high, threshold


def prior_scores(
    logits: Tensor, u: Tensor, u_min: float, u_max: float, beta: Tensor, alpha: float
) -> Tensor:
    """logit + alpha * clamp((u - u_min) / (u_max - u_min), 0, 1) * beta: (N, E) float64."""
    u_n = ((u.double() - u_min) / (u_max - u_min)).clamp(0.0, 1.0)
    return logits.double() + alpha * (u_n[:, None] * beta[None, :])


def escalation_scores(logits: Tensor, u: Tensor, threshold: float, target: int) -> Tensor:
    """logits (N, E) float64 with `target` first wherever u > threshold."""
    scores = logits.double().clone()
    scores[u.double() > threshold, target] = torch.inf
    return scores


def top_experts(scores: Tensor, k: int) -> Tensor:
    """Indices (N, k) of the largest scores, best first; ties go to the lower index."""
    order = torch.sort(scores, dim=-1, descending=True, stable=True).indices
    return order[:, :k]

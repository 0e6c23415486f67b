"""Heads beside an expert's last layer, whose agreement tells a sure answer from an unsure one.

Signals "monte_carlo", "ensemble" and "router" of a cascade read them; each is K answers on features
that are computed once.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.layers import Linear
from edgeq.nn.pooling import GlobalAvgPool
from edgeq.nn.router import BayesianRouter
from edgeq.nn.structure import Dropout, Exit, Sequential
from edgeq.ops.heads import MOST_HEADS
from edgeq.ops.mc_dropout import dropout_masks

MEMBERS = 4  # of an ensemble that is not given


def last_linear(module: nn.Module) -> Linear:
    """The layer that gives an expert's logits. Raises BadInput where that is no Linear."""
    if isinstance(module, Exit):
        return last_linear(module.head)
    if isinstance(module, Sequential):
        layers = [m for m in module if not isinstance(m, Dropout)]
        if layers:
            return last_linear(layers[-1])
    if not isinstance(module, Linear):
        raise BadInput(
            f"an expert ends in {type(module).__name__}; heads stand beside a Linear that ends it"
        )
    return module


def with_features(expert: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """(what the last layer read (N, F), logits (N, C)) of one forward pass."""
    seen: list[Tensor] = []
    hook = last_linear(expert).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        logits: Tensor = expert(x)
    finally:
        hook.remove()
    return seen[-1], logits


def masked_logits(layer: Linear, x: Tensor, masks: Tensor, dropout: float) -> Tensor:
    """(N, K, out) of features (N, in), or (N, K, in), under keep masks (K, in), kept ones scaled
    up.
    """
    each = layer.act(x).double()
    kept = (each if each.dim() == 3 else each[:, None]) * (masks / (1.0 - dropout))
    bias = None if layer.bias is None else layer.bias.double()
    return F.linear(kept, layer.effective_weight().double(), bias).to(x.dtype)


class MonteCarloHead:
    """The last layer of an expert under seeded dropout masks of its features."""

    def __init__(self, layer: Linear, passes: int, dropout: float, seed: int, stage: int) -> None:
        self.layer, self.dropout = layer, dropout
        self.masks = dropout_masks(seed, passes, layer.in_features, stage, dropout)

    def logits(self, features: Tensor) -> Tensor:
        """(N, passes, C)."""
        masks = torch.from_numpy(self.masks).to(torch.float64)
        return masked_logits(self.layer, features, masks, self.dropout)


def router_logits(router: BayesianRouter, x: Tensor) -> Tensor:
    """(N, passes, experts) of a router, of a map or flat features."""
    first, *rest = router.linears
    out: Tensor = first(GlobalAvgPool()(x))
    for i, layer in enumerate(rest):
        masks = torch.from_numpy(router.masks(i)).to(torch.float64)
        out = masked_logits(layer, F.relu(out), masks, router.dropout)
    return out


def ensemble_logits(head: Linear, features: Tensor, classes: int) -> Tensor:
    """(N, K, classes)."""
    out: Tensor = head(features)
    return out.reshape(len(out), -1, classes)


def ensemble(experts: Sequence[nn.Module]) -> list[nn.Module]:
    """Untrained heads for every expert but the last."""
    layers = [last_linear(expert) for expert in experts[:-1]]
    return [Linear(m.in_features, MEMBERS * m.out_features, "int8") for m in layers]


def check_heads(signal: str, heads: Sequence[nn.Module], experts: Sequence[nn.Module]) -> None:
    """BadInput unless there is one for every expert but the last, of the kind the signal reads."""
    wanted = {"ensemble": Linear, "router": BayesianRouter}[signal]
    if len(heads) != len(experts) - 1 or not all(isinstance(h, wanted) for h in heads):
        given = ", ".join(type(h).__name__ for h in heads) or "none"
        raise BadInput(
            f"heads are {given}; signal {signal!r} reads a {wanted.__name__} for every expert but "
            f"the last: {len(experts) - 1}"
        )
    for head, expert in zip(heads, experts[:-1], strict=True):
        if isinstance(head, BayesianRouter):
            check_members(head.passes)
        elif isinstance(head, Linear):
            last = last_linear(expert)
            members, rest = divmod(head.out_features, last.out_features)
            if rest or head.in_features != last.in_features:
                raise BadInput(
                    f"an ensemble's head maps {head.in_features} features to {head.out_features}; "
                    f"the expert's last layer has {last.in_features}, and "
                    f"{last.out_features} classes for each member"
                )
            check_members(members)


def check_members(count: int) -> None:
    """BadInput unless a signal can read so many heads."""
    if not 2 <= count <= MOST_HEADS:
        raise BadInput(f"{count} heads or passes; a signal reads 2 to {MOST_HEADS}")

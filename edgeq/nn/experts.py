"""The paper's expert and mixture: 1536-d embeddings, hidden layers of 640 and 320."""

from collections.abc import Sequence

from torch import nn

from edgeq.nn.layers import Linear
from edgeq.nn.mixture import Mixture, TrunkMixture
from edgeq.nn.norms import LayerNorm
from edgeq.nn.router import BayesianRouter
from edgeq.nn.structure import Dropout, ReLU, Sequential

PAPER_DROPOUT = 0.1953


def hidden_block(
    in_features: int, out_features: int, kind: str | int, dropout: float
) -> list[nn.Module]:
    """LayerNorm(in) - quantised Linear - LayerNorm(out) - ReLU - Dropout."""
    return [
        LayerNorm(in_features),
        Linear(in_features, out_features, kind),
        LayerNorm(out_features),
        ReLU(),
        Dropout(dropout),
    ]


def paper_expert(
    in_features: int = 1536,
    hidden: Sequence[int] = (640, 320),
    classes: int = 5,
    kind: str | int = "ternary",
    dropout: float = PAPER_DROPOUT,
    head_kind: str | int | None = None,
) -> Sequential:
    """One hidden block per size in `hidden`, then a head: int8, or ptq when the expert is ptq."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += hidden_block(in_features, width, kind, dropout)
        in_features = width
    head = head_kind or ("ptq" if kind == "ptq" else "int8")
    return Sequential(*layers, Linear(in_features, classes, head))


def paper_mixture(
    kinds: Sequence[str | int] = ("ternary", "int4", "int8"),
    shared_trunk: bool = False,
    in_features: int = 1536,
    hidden: Sequence[int] = (640, 320),
    classes: int = 5,
    dropout: float = PAPER_DROPOUT,
    passes: int = 10,
    seed: int = 0,
    alpha: float = 1.0,
    rule: str = "precision_prior",
    top_k: int = 1,
    gate: str = "none",
) -> Mixture | TrunkMixture:
    """Replicated experts, or one 8-bit first block for all and an expert-specific rest.

    The router sees the raw input in both.
    """
    router = BayesianRouter(in_features, len(kinds), dropout=dropout, passes=passes, seed=seed)
    own = tuple(hidden[1:]) if shared_trunk else tuple(hidden)
    start = hidden[0] if shared_trunk else in_features
    experts = [paper_expert(start, own, classes, kind, dropout) for kind in kinds]
    mixture = Mixture(experts, router, kinds, top_k=top_k, gate=gate, rule=rule, alpha=alpha)
    if not shared_trunk:
        return mixture
    trunk = Sequential(*hidden_block(in_features, hidden[0], "int8", dropout))
    return TrunkMixture(trunk, mixture, router_sees="input")

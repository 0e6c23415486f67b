"""Checkpoints of the authors' code of arXiv 2511.11743, read safely and run as published.

Re-implemented from formulas: a checkpoint is a float32 state dict in which neither widths nor
scaler nor class names stand; those come from a sidecar, and nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn import curiosity
from edgeq.nn.weight_kinds import weight_kind

EPS = 1e-5
TERNARY_WEIGHTS, TERNARY_ACTIVATIONS = 0.15, 0.05  # thresholds, of the mean magnitude
FLOAT_WIDTHS = ("16", "float")
BLOCKS = (0, 4)  # net.0 and net.4 are quantised; net.1 and net.5 norms; net.8 is the head

State = Mapping[str, Tensor]


def published_weight(weight: Tensor, width: str) -> Tensor:
    """The weight (out, in) that the published forward multiplies by.

    ternary: rows centred, alpha * {-1, 0, 1}; 1: the sign; k: less the mean, one scale for all;
    16 and float: as it is.
    """
    if width in FLOAT_WIDTHS:
        return weight
    if width == "ternary":
        centred = weight - weight.mean(1, keepdim=True)
        magnitude = centred.abs()
        keep = magnitude >= TERNARY_WEIGHTS * magnitude.mean(1, keepdim=True)
        count = keep.sum(1, keepdim=True).clamp_min(1)
        return centred.sign() * keep * ((magnitude * keep).sum(1, keepdim=True) / count)
    if width == "1":
        return weight.sign()
    centred = weight - weight.mean()
    scale = centred.abs().amax() / (2 ** (int(width) - 1) - 1)
    return centred if float(scale) == 0 else (centred / scale).round() * scale


def published_activation(x: Tensor, width: str) -> Tensor:
    """Inputs (N, features) as the published forward rounds them, each sample by itself."""
    if width in FLOAT_WIDTHS:
        return x
    if width == "ternary":
        limit = TERNARY_ACTIVATIONS * x.abs().mean(-1, keepdim=True)
        return x.sign() * (x.abs() >= limit)
    scale = x.abs().amax(-1, keepdim=True).clamp_min(EPS) / 127
    return (x / scale).round() * scale


@dataclass(frozen=True)
class PublishedExpert:
    """LayerNorm - quantised Linear - LayerNorm - ReLU, twice, then a float head; by its 14 keys."""

    state: State
    width: str

    def __call__(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of (N, features)."""
        s = self.state
        for i in BLOCKS:
            x = _norm(x, s, f"net.{i}.act_ln")
            weight = published_weight(s[f"net.{i}.weight"], self.width)
            x = F.linear(published_activation(x, self.width), weight, s[f"net.{i}.bias"])
            x = F.relu(_norm(x, s, f"net.{i + 1}"))
        return F.linear(x, s["net.8.weight"], s["net.8.bias"])


def _norm(x: Tensor, state: State, name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], EPS)


@dataclass(frozen=True)
class PublishedRouter:
    """Float; `layers` are net.0, net.3, net.6 (Bayesian) or net.0, net.3, net.5 (plain)."""

    state: State
    layers: tuple[int, int, int]
    dropout: float
    passes: int

    @property
    def bayesian(self) -> bool:
        return self.layers[-1] == 6

    def logits(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(N, experts); with a generator dropout is drawn, as in a Monte Carlo pass."""
        first, second, last = (f"net.{i}" for i in self.layers)
        x = self._drop(F.relu(self._linear(x, first)), generator)
        return self._linear(self._drop(F.relu(self._linear(x, second)), generator), last)

    def uncertainty(self, x: Tensor, seed: int = 0) -> Tensor:
        """(N,): the unbiased variance of the passes' probabilities, summed over the experts."""
        if not self.bayesian:
            return x.new_zeros(len(x))
        generator = torch.Generator().manual_seed(seed)
        drawn = [torch.softmax(self.logits(x, generator), -1) for _ in range(self.passes)]
        return torch.stack(drawn).var(dim=0, unbiased=True).sum(-1)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _drop(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        if generator is None:
            return x
        keep = torch.rand(x.shape, generator=generator) >= self.dropout
        return x * keep / (1 - self.dropout)


class Published(nn.Module):
    """A checkpoint run as its authors run it: float in, scaled, routed by the batch, logits out.

    The published rule takes the smallest and largest uncertainty of the batch, so a row's route
    depends on its neighbours. The answer is the largest probability times the expert's logits.
    """

    def __init__(
        self,
        experts: Sequence[PublishedExpert],
        router: PublishedRouter | None,
        alpha: float,
        scaler: tuple[Tensor, Tensor] | None,
    ) -> None:
        super().__init__()
        if (router is None) != (len(experts) == 1):
            raise BadInput(f"{len(experts)} experts with{'out' if router is None else ''} a router")
        self.published_experts, self.router = tuple(experts), router
        self.alpha, self.scaler = alpha, scaler

    def scaled(self, x: Tensor) -> Tensor:
        """Raw features (N, features) less the scaler's mean, by its scale."""
        return x if self.scaler is None else (x - self.scaler[0]) / self.scaler[1]

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of raw features (N, features)."""
        x = self.scaled(x)
        if self.router is None:
            return self.published_experts[0](x)
        p = self.probabilities(x)
        best, route = p.max(-1)
        answers = torch.stack([expert(x) for expert in self.published_experts], dim=1)
        return best[:, None] * answers[torch.arange(len(x)), route]

    def probabilities(self, x: Tensor) -> Tensor:
        """Of the experts (N, E) for scaled features, after curiosity."""
        assert self.router is not None
        p, u = torch.softmax(self.router.logits(x), -1), self.router.uncertainty(x)
        span = float(u.max() - u.min())
        if span <= 0:
            return p
        bits = [width_bits(expert.width) for expert in self.published_experts]
        beta = curiosity.precision_weights(bits).to(p.dtype)
        moved = p * torch.exp(self.alpha * ((u - u.min()) / span)[:, None] * beta[None, :])
        return moved / moved.sum(-1, keepdim=True)


def width_bits(width: str) -> float:
    """Bits that a width counts for in the published rule."""
    return {"ternary": 1.58, "16": 16.0, "float": 32.0}.get(width) or float(width)


def kind_of_width(width: str) -> str:
    """The weight kind of edgeq that holds the published codes: 2 bits yield only -1, 0, 1, which
    edgeq's own 2-bit levels (-3, -1, 1, 3) are not, so they travel in 3 bits.
    """
    named = {"ternary": "ternary", "2": "int3", "16": "int16", "float": "ptq"}
    return weight_kind(named.get(width) or int(width)).name

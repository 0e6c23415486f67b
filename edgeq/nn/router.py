"""Routers: which expert answers, and how sure the router is.

Published: Linear(in,128)-ReLU-Drop-Linear(128,64)-ReLU-Drop-Linear(64,E). The first Linear stands
before any dropout, so the Monte Carlo passes share it (arXiv 2511.11743, section on the Bayesian
router). Here `hidden` may have any sizes, and as many as a route is worth.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.layers import Linear
from edgeq.ops.mc_dropout import dropout_masks

MOST_HIDDEN = 7  # layers before the last


class PlainRouter(nn.Module):
    """The router network without Monte Carlo passes: uncertainty is 0 for every sample.

    `hidden`: the sizes of the layers before the last, none for a single Linear. Layers are named
    fc1, fc2, ...
    """

    def __init__(
        self,
        in_features: int,
        experts: int,
        hidden: Sequence[int] = (128, 64),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if len(hidden) > MOST_HIDDEN:
            raise BadInput(
                f"a router has at most {MOST_HIDDEN} hidden sizes, got {len(hidden)}; it should "
                "cost a fraction of an expert"
            )
        if not 0.0 <= dropout < 1.0:
            raise BadInput(f"router dropout must lie in [0, 1), got {dropout}")
        self.in_features = in_features
        self.experts = experts
        self.hidden = tuple(hidden)
        self.dropout = dropout
        for i, (size, out) in enumerate(pairwise((in_features, *hidden, experts))):
            self.add_module(f"fc{i + 1}", Linear(size, out, "int8"))

    @property
    def linears(self) -> tuple[Linear, ...]:
        """fc1, fc2, ... in order."""
        return tuple(m for m in self.children() if isinstance(m, Linear))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, experts); ordinary random dropout while training, none in evaluation."""
        *before, last = self.linears
        for layer in before:
            x = F.dropout(F.relu(layer(x)), self.dropout, self.training)
        logits: Tensor = last(x)
        return logits

    def uncertainty(self, x: Tensor) -> Tensor:
        """u (N,), zeros: one pass has no variance."""
        return x.new_zeros(x.shape[0])


class BayesianRouter(PlainRouter):
    """The router with `passes` seeded Monte Carlo dropout passes.

    Raises BadInput when passes < 2: an unbiased variance needs two; and without a hidden layer:
    there is nothing to drop.
    """

    def __init__(
        self,
        in_features: int,
        experts: int,
        hidden: Sequence[int] = (128, 64),
        dropout: float = 0.1,
        passes: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__(in_features, experts, hidden, dropout)
        if passes < 2:
            raise BadInput(f"Monte Carlo dropout needs at least 2 passes, got {passes}")
        if not self.hidden:
            raise BadInput("Monte Carlo dropout needs a hidden layer; use PlainRouter without any")
        self.passes = passes
        self.seed = seed
        self._mask_cache: dict[tuple[float, ...], npt.NDArray[np.uint8]] = {}

    def masks(self, layer: int) -> npt.NDArray[np.uint8]:
        """Keep masks 0/1 of dropout layer 0, 1, ...: (passes, hidden[layer]), for all x."""
        key = (self.seed, self.passes, self.hidden[layer], layer, self.dropout)
        if key not in self._mask_cache:
            self._mask_cache[key] = dropout_masks(*key)
        return self._mask_cache[key]

    def _drop(self, h: Tensor, layer: int) -> Tensor:
        """Masked and rescaled (passes, N, width) from (N, width) or (passes, N, width)."""
        masks = torch.from_numpy(self.masks(layer)).to(h.dtype)[:, None, :]
        return h * masks * (1.0 / (1.0 - self.dropout))

    @torch.no_grad()
    def mc_probabilities(self, x: Tensor) -> Tensor:
        """P (passes, N, experts) float64: softmax of each masked pass, evaluation arithmetic."""
        modes = [(m, m.training) for m in self.modules()]
        self.eval()
        try:
            *before, last = self.linears
            for i, layer in enumerate(before):
                x = self._drop(F.relu(layer(x)), i)
            return torch.softmax(last(x).double(), dim=-1)
        finally:
            for module, mode in modes:
                module.training = mode

    def uncertainty(self, x: Tensor) -> Tensor:
        """u (N,): the unbiased variance over the passes, summed over the experts."""
        return self.mc_probabilities(x).var(dim=0, unbiased=True).sum(-1).to(x.dtype)

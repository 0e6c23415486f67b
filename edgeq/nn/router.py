"""Routers: which expert answers, and how sure the router is.

Linear(in,128)-ReLU-Drop-Linear(128,64)-ReLU-Drop-Linear(64,E); the first Linear stands before any
dropout, so the Monte Carlo passes share it (arXiv 2511.11743, section on the Bayesian router).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.layers import Linear
from edgeq.ops.mc_dropout import dropout_masks


class PlainRouter(nn.Module):
    """The router network without Monte Carlo passes: uncertainty is 0 for every sample."""

    def __init__(
        self,
        in_features: int,
        experts: int,
        hidden: Sequence[int] = (128, 64),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if len(hidden) != 2:
            raise BadInput(f"a router has two hidden sizes, got {tuple(hidden)}")
        if not 0.0 <= dropout < 1.0:
            raise BadInput(f"router dropout must lie in [0, 1), got {dropout}")
        self.in_features = in_features
        self.experts = experts
        self.hidden = (hidden[0], hidden[1])
        self.dropout = dropout
        self.fc1 = Linear(in_features, hidden[0], "int8")
        self.fc2 = Linear(hidden[0], hidden[1], "int8")
        self.fc3 = Linear(hidden[1], experts, "int8")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, experts); ordinary random dropout while training, none in evaluation."""
        h = F.dropout(F.relu(self.fc1(x)), self.dropout, self.training)
        h = F.dropout(F.relu(self.fc2(h)), self.dropout, self.training)
        logits: Tensor = self.fc3(h)
        return logits

    def uncertainty(self, x: Tensor) -> Tensor:
        """u (N,), zeros: one pass has no variance."""
        return x.new_zeros(x.shape[0])


class BayesianRouter(PlainRouter):
    """The router with `passes` seeded Monte Carlo dropout passes.

    Raises BadInput when passes < 2: an unbiased variance needs two.
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
        self.passes = passes
        self.seed = seed
        self._mask_cache: dict[tuple[float, ...], npt.NDArray[np.uint8]] = {}

    def masks(self, layer: int) -> npt.NDArray[np.uint8]:
        """Keep masks 0/1 of dropout layer 0 or 1, (passes, hidden[layer]): the same for all x."""
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
            h = self._drop(F.relu(self.fc1(x)), 0)
            logits = self.fc3(self._drop(F.relu(self.fc2(h)), 1))
            return torch.softmax(logits.double(), dim=-1)
        finally:
            for module, mode in modes:
                module.training = mode

    def uncertainty(self, x: Tensor) -> Tensor:
        """u (N,): the unbiased variance over the passes, summed over the experts."""
        return self.mc_probabilities(x).var(dim=0, unbiased=True).sum(-1).to(x.dtype)

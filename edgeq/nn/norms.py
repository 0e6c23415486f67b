"""LayerNorm over flat features, and batch normalisation that the compiler folds away."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.ops.layer_norm import MAX_FEATURES

EPS = 1e-5


class LayerNorm(nn.Module):
    """Affine layer normalisation over the features of (N, features), eps 1e-5."""

    def __init__(self, features: int) -> None:
        super().__init__()
        if not 1 <= features <= MAX_FEATURES:
            raise BadInput(f"LayerNorm over {features} features; allowed are 1 to {MAX_FEATURES}")
        self.features = features
        self.eps = EPS
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Raises BadInput unless `x` is (N, features): there is no kernel for feature maps."""
        if x.dim() != 2 or x.shape[1] != self.features:
            raise BadInput(
                f"LayerNorm takes flat features (N, {self.features}), got {tuple(x.shape)}; "
                "put GlobalAvgPool or Flatten before it"
            )
        return F.layer_norm(x, (self.features,), self.weight, self.bias, self.eps)


class BatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation of (N, C) or (N, C, L), eps 1e-5, affine."""

    def __init__(self, features: int) -> None:
        super().__init__(features, eps=EPS)
        self.features = features


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation of (N, C, H, W), eps 1e-5, affine."""

    def __init__(self, features: int) -> None:
        super().__init__(features, eps=EPS)
        self.features = features

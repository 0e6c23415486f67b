"""Networks whose ONNX files multiply activations, normalise groups and resize between cells."""

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """Two layers of a transformer over sequences (12, 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.entry, self.head = nn.Linear(6, 16), nn.Linear(16, 5)
        self.place = nn.Parameter(torch.randn(1, 12, 16))
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.body(self.entry(x) + self.place).mean(1))
        return found


class Attention(nn.Module):
    """One head, its keys read transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.q(x) @ self.k(x).transpose(1, 2) / 8**0.5
        found: Tensor = torch.softmax(scores, -1) @ self.v(x)
        return found


class Normed(nn.Module):
    """Norms of groups and of channels, a slope a channel, a map twice as large, reflected."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.InstanceNorm2d(8, affine=True)),
            *(nn.PReLU(8), nn.Upsample(scale_factor=2, mode="bilinear"), nn.ReflectionPad2d(1)),
            nn.Conv2d(8, 4, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.log_softmax(self.body(x).mean((2, 3)), -1)

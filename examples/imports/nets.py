"""Well-known small networks as users write them in PyTorch: nothing of edgeq is in them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

TORCHVISION = (
    "mobilenet_v2",
    "resnet18",
    "squeezenet1_1",
    "mnasnet0_5",
    "shufflenet_v2_x0_5",
    "mobilenet_v3_small",
    "efficientnet_b0",
)


@dataclass(frozen=True)
class Net:
    """`shape` has no batch axis."""

    title: str
    shape: tuple[int, ...]
    build: Callable[[], nn.Module]


def _conv(
    into: int, out: int, kernel: Any, stride: int = 1, padding: Any = 0, groups: int = 1
) -> Any:
    conv = nn.Conv2d(into, out, kernel, stride, padding, groups=groups, bias=False)
    return conv, nn.BatchNorm2d(out), nn.ReLU()


def ds_cnn() -> nn.Module:
    """MLPerf Tiny's keyword spotting: 49 frames of 10 MFCCs, 12 words."""
    layers = [*_conv(1, 64, (10, 4), 2, (5, 1)), nn.Dropout(0.2)]
    for _ in range(4):
        layers += [*_conv(64, 64, 3, 1, 1, 64), *_conv(64, 64, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 12))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, into: int, out: int, stride: int) -> None:
        super().__init__()
        second = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.body = nn.Sequential(*_conv(into, out, 3, stride, 1), second, nn.BatchNorm2d(out))
        same = into == out and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(into, out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet8() -> nn.Module:
    """MLPerf Tiny's image classification."""
    blocks = [Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2)]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return nn.Sequential(*_conv(3, 16, 3, 1, 1), *blocks, *head)


def mobilenet_v1() -> nn.Module:
    """A quarter of MobileNetV1's channels, as in MLPerf Tiny's visual wake words."""
    layers, into = [*_conv(3, 8, 3, 2, 1)], 8
    for out, stride in (
        *((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)),
        *((128, 1),) * 5,
        *((256, 2), (256, 1)),
    ):
        layers += [*_conv(into, into, 3, stride, 1, into), *_conv(into, out, 1)]
        into = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 2))


def autoencoder() -> nn.Module:
    """MLPerf Tiny's anomaly detection."""
    layers: list[nn.Module] = []
    sizes = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128)
    for into, out in pairwise(sizes):
        layers += [nn.Linear(into, out), nn.BatchNorm1d(out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(128, 640))


def mlp() -> nn.Module:
    layers = (nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    return nn.Sequential(*layers)


def accelerometer() -> nn.Module:
    """Three axes, 128 samples, six activities."""
    layers: list[nn.Module] = []
    for into, out in ((3, 32), (32, 64), (64, 64)):
        conv = nn.Conv1d(into, out, 5, padding=2)
        layers += [conv, nn.BatchNorm1d(out), nn.ReLU(), nn.MaxPool1d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 6))


def torchvision_net(name: str) -> nn.Module:
    """One of torchvision's, unmodified, random weights."""
    library = torch.library.Library("torchvision", "DEF")  # its wheel is built for CUDA:
    if not hasattr(torch.ops.torchvision, "nms"):  # beside a torch without, an op is missing
        for op in ("nms", "qnms"):
            library.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

    made: nn.Module = getattr(torchvision.models, name)(weights=None)
    return made


def _named(name: str) -> Callable[[], nn.Module]:
    return lambda: torchvision_net(name)


NETS = {
    "ds_cnn": Net("DS-CNN", (1, 49, 10), ds_cnn),
    "resnet8": Net("ResNet8", (3, 32, 32), resnet8),
    "mobilenet_v1": Net("MobileNetV1-0.25", (3, 96, 96), mobilenet_v1),
    "autoencoder": Net("autoencoder", (640,), autoencoder),
    "mlp": Net("MLP with GELU", (64,), mlp),
    "accelerometer": Net("Conv1d accelerometer net", (3, 128), accelerometer),
    **{name: Net(f"torchvision {name}", (3, 32, 32), _named(name)) for name in TORCHVISION},
}

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


Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Net:
    """`shape` of the first input and those of `others` have no batch axis."""

    title: str
    shape: tuple[int, ...]
    build: Callable[[], nn.Module]
    others: Shapes = ()

    @property
    def shapes(self) -> Shapes:
        """Of every input, in the order of `forward`."""
        return (self.shape, *self.others)


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


def mobilenet_v1(classes: int = 2) -> nn.Module:
    """A quarter of MobileNetV1's channels, as in MLPerf Tiny's visual wake words."""
    layers, into = [*_conv(3, 8, 3, 2, 1)], 8
    for out, stride in (
        *((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)),
        *((128, 1),) * 5,
        *((256, 2), (256, 1)),
    ):
        layers += [*_conv(into, into, 3, stride, 1, into), *_conv(into, out, 1)]
        into = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, classes))


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


class UNet(nn.Module):
    """Two levels down and up with skips; a map of three classes a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(*_conv(1, 8, 3, 1, 1))
        self.second = nn.Sequential(nn.MaxPool2d(2), *_conv(8, 16, 3, 1, 1))
        self.bottom = nn.Sequential(nn.MaxPool2d(2), *_conv(16, 32, 3, 1, 1))
        self.up = nn.Upsample(scale_factor=2)
        self.middle = nn.Sequential(*_conv(48, 16, 3, 1, 1))
        self.last = nn.Sequential(*_conv(24, 8, 3, 1, 1), nn.Conv2d(8, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        second = self.second(first)
        middle = self.middle(torch.cat([self.up(self.bottom(second)), second], 1))
        return self.last(torch.cat([self.up(middle), first], 1))


class DenseBlock(nn.Module):
    """Three layers, each of which reads what all before it made (DenseNet)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_conv(3, 16, 3, 2, 1))
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(n), nn.ReLU(), nn.Conv2d(n, 12, 3, 1, 1, bias=False))
            for n in (16, 28, 40)
        )
        self.norm, self.head = nn.BatchNorm2d(52), nn.Linear(52, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return self.head(torch.relu(self.norm(x)).mean((2, 3)))


class Inception(nn.Module):
    """Four branches of GoogLeNet, joined."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_conv(3, 16, 3, 2, 1))
        self.one = nn.Sequential(*_conv(16, 16, 1))
        self.three = nn.Sequential(*_conv(16, 12, 1), *_conv(12, 16, 3, 1, 1))
        self.five = nn.Sequential(*_conv(16, 4, 1), *_conv(4, 8, 5, 1, 2))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), *_conv(16, 8, 1))
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], 1)
        return self.head(x.mean((2, 3)))


class Causal(nn.Module):
    """Two dilated convolutions that see the past alone, beside a shortcut."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.before = 2 * dilation
        self.first = nn.Conv1d(channels, channels, 3, dilation=dilation)
        self.second = nn.Conv1d(channels, channels, 3, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        made = torch.relu(self.first(nn.functional.pad(x, (self.before, 0))))
        made = torch.relu(self.second(nn.functional.pad(made, (self.before, 0))))
        return torch.relu(x + made)


def tcn() -> nn.Module:
    """A temporal convolutional network: three blocks, the last frame answers."""
    blocks = [Causal(24, dilation) for dilation in (1, 2, 4)]
    return nn.Sequential(nn.Conv1d(6, 24, 1), *blocks, LastFrame(), nn.Linear(24, 5))


class LastFrame(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, -1]


class MixerBlock(nn.Module):
    """A layer over the patches, one over the channels, each beside a shortcut."""

    def __init__(self, patches: int, channels: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.across = nn.Sequential(nn.Linear(patches, 32), nn.GELU(), nn.Linear(32, patches))
        self.within = nn.Sequential(nn.Linear(channels, 64), nn.GELU(), nn.Linear(64, channels))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.across(self.first(x).transpose(1, 2)).transpose(1, 2)
        return x + self.within(self.second(x))


class Mixer(nn.Module):
    """An MLP-Mixer: 4x4 patches of an image of 32x32."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 4, 4)
        self.blocks = nn.Sequential(MixerBlock(64, 32), MixerBlock(64, 32))
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(1))


class Encoder(nn.Module):
    """Two layers of a transformer's encoder over 16 tokens of 24 features."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            24, 2, 48, dropout=0.0, activation="gelu", batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x).mean(1))


class TwoHeads(nn.Module):
    """One trunk that answers a class and two coordinates."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*_conv(3, 16, 3, 2, 1), *_conv(16, 32, 3, 2, 1))
        self.kind, self.place = nn.Linear(32, 5), nn.Linear(32, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.trunk(x).mean((2, 3))
        return self.kind(x), self.place(x)


class TwoInputs(nn.Module):
    """A map and a row of numbers beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.sees = nn.Sequential(*_conv(1, 8, 3, 2, 1), *_conv(8, 16, 3, 2, 1))
        self.knows, self.head = nn.Linear(12, 16), nn.Linear(32, 4)

    def forward(self, image: Tensor, facts: Tensor) -> Tensor:
        seen, known = self.sees(image).mean((2, 3)), torch.relu(self.knows(facts))
        return self.head(torch.cat([seen, known], 1))


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
    "unet": Net("U-Net", (1, 32, 32), UNet),
    "dense_block": Net("DenseNet block", (3, 32, 32), DenseBlock),
    "inception": Net("Inception block", (3, 32, 32), Inception),
    "tcn": Net("TCN", (6, 64), tcn),
    "mixer": Net("MLP-Mixer", (3, 32, 32), Mixer),
    "encoder": Net("transformer encoder, 2 layers", (16, 24), Encoder),
    "two_heads": Net("two-headed net", (3, 32, 32), TwoHeads),
    "two_inputs": Net("two-input net", (1, 24, 24), TwoInputs, ((12,),)),
    **{name: Net(f"torchvision {name}", (3, 32, 32), _named(name)) for name in TORCHVISION},
}

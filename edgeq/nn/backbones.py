"""A small depthwise-separable backbone for log-mel audio, input (1, bands, frames)."""

from collections.abc import Sequence

from torch import nn

from edgeq.errors import BadInput
from edgeq.nn.layers import Conv2d, Pair
from edgeq.nn.norms import BatchNorm2d
from edgeq.nn.pooling import GlobalAvgPool
from edgeq.nn.structure import ReLU, Sequential

Kinds = str | int | Sequence[str | int]


def conv_block(
    in_channels: int, out_channels: int, kind: str | int = "int8", stride: Pair = 1, kernel: int = 3
) -> list[nn.Module]:
    """Conv2d (padded to keep size at stride 1, no bias) - BatchNorm - ReLU."""
    conv = Conv2d(in_channels, out_channels, kernel, kind, stride, padding=kernel // 2, bias=False)
    return [conv, BatchNorm2d(out_channels), ReLU()]


def separable_block(
    in_channels: int,
    out_channels: int,
    kind: str | int = "int8",
    stride: Pair = 1,
    depthwise_kind: str | int = "int8",
) -> list[nn.Module]:
    """3x3 depthwise - BatchNorm - ReLU - 1x1 pointwise - BatchNorm - ReLU."""
    depthwise = Conv2d(
        in_channels,
        in_channels,
        3,
        depthwise_kind,
        stride,
        padding=1,
        groups=in_channels,
        bias=False,
    )
    return [
        depthwise,
        BatchNorm2d(in_channels),
        ReLU(),
        *conv_block(in_channels, out_channels, kind, kernel=1),
    ]


def depthwise_separable(
    channels: Sequence[int] = (32, 48, 64, 96),
    strides: Sequence[Pair] = (1, 2, 1, 2),
    stem_channels: int = 16,
    stem_stride: Pair = 2,
    kinds: Kinds = "int8",
    depthwise_kind: str | int = "int8",
    stem_kind: str | int = "int8",
    in_channels: int = 1,
    pool: bool = True,
) -> Sequential:
    """3x3 stem and one separable block per entry of `channels`.

    `kinds` is the weight kind of the pointwise convolutions: one for all or one a block.
    Ends in (N, channels[-1]) features, or with pool=False in the feature map.
    """
    per_block = [kinds] * len(channels) if isinstance(kinds, str | int) else list(kinds)
    if not len(channels) == len(strides) == len(per_block):
        raise BadInput(
            f"{len(channels)} channels, {len(strides)} strides, {len(per_block)} kinds: "
            "give one of each per block"
        )
    layers = conv_block(in_channels, stem_channels, stem_kind, stem_stride)
    width = stem_channels
    for out, stride, kind in zip(channels, strides, per_block, strict=True):
        layers += separable_block(width, out, kind, stride, depthwise_kind)
        width = out
    return Sequential(*layers, *([GlobalAvgPool()] if pool else []))

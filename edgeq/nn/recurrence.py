"""The sums and steps of recurrent layers in PyTorch: what `nn.LSTM` trains and graphs run."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Round = Callable[[Tensor], Tensor]
Gates = Sequence[Tensor]  # sums, a tensor a gate


def same(x: Tensor) -> Tensor:
    """Nothing is rounded."""
    return x


def lstm(given: Tensor, recurrent: Tensor, hidden: Round = same, cell: Round = same) -> Tensor:
    """Hidden states (N, T, units) from a state of zero.

    `given` (N, T, 4 units): the inputs' sums with the bias, gates in the order input, forget, cell,
    output; `recurrent` (4 units, units). `hidden` and `cell` round a state before it is kept.
    """
    units = recurrent.shape[1]
    h, c = (given.new_zeros(len(given), units) for _ in range(2))
    made = []
    for step in range(given.shape[1]):
        i, f, g, o = (given[:, step] + F.linear(h, recurrent)).chunk(4, dim=1)
        c = cell(torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g))
        h = hidden(torch.sigmoid(o) * torch.tanh(c))
        made.append(h)
    return torch.stack(made, 1)


def gru(
    given: Tensor, recurrent: Tensor, bias: Tensor, hidden: Round = same, state: Round = same
) -> Tensor:
    """Hidden states (N, T, units) from a state of zero, the reset gate behind the product.

    `given` (N, T, 3 units): the inputs' sums with their bias, gates in the order reset, update,
    new; `recurrent` (3 units, units) and `bias` (3 units) of the hidden state, which `hidden`
    rounds for the product and the output; `state` rounds what is kept.
    """

    def step(own: Gates, before: Gates, kept: Tensor) -> Tensor:
        reset, update = (torch.sigmoid(own[g] + before[g]) for g in (0, 1))
        return update * kept + (1 - update) * torch.tanh(own[2] + reset * before[2])

    return _states(step, given, recurrent, bias, hidden, state)


def mgu(
    given: Tensor, recurrent: Tensor, bias: Tensor, hidden: Round = same, state: Round = same
) -> Tensor:
    """As `gru`, of two gates: forget, which is the reset too, and new."""

    def step(own: Gates, before: Gates, kept: Tensor) -> Tensor:
        share = torch.sigmoid(own[0] + before[0])
        return (1 - share) * kept + share * torch.tanh(own[1] + share * before[1])

    return _states(step, given, recurrent, bias, hidden, state)


def _states(
    step: Callable[[Gates, Gates, Tensor], Tensor],
    given: Tensor,
    recurrent: Tensor,
    bias: Tensor,
    hidden: Round,
    state: Round,
) -> Tensor:
    gates, units = recurrent.shape[0] // recurrent.shape[1], recurrent.shape[1]
    h = kept = given.new_zeros(len(given), units)
    made = []
    for at in range(given.shape[1]):
        before = F.linear(h, recurrent, bias).chunk(gates, dim=1)
        kept = state(step(given[:, at].chunk(gates, dim=1), before, kept))
        h = hidden(kept)
        made.append(h)
    return torch.stack(made, 1)


def svdf(filters: Tensor, taps: Tensor, rank: int, before: int) -> Tensor:
    """Units (N, T', filters / rank) of filters (N, T, filters) and taps (memory, filters), behind
    `before` frames of zeros; without a bias.
    """
    cells = F.pad(filters.transpose(1, 2), (before, 0))
    each = F.conv1d(cells, taps.t()[:, None], groups=taps.shape[1])
    units = each.reshape(len(each), -1, rank, each.shape[2])
    return units.sum(2).transpose(1, 2)

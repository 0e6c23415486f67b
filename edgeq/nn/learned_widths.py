"""Widths that training learns: noise in the place of rounding, and a price on what widths cost.

Source: DiffQ (Defossez et al., arXiv 2104.09987). Rounding to b bits is taken for uniform noise of
its step, which has a gradient in b; the loss has a price on the cost of all b beside it. Here a
layer has one b, as its kernel has one width, and between two widths its cost is on a line: bytes,
or the cycles that a board was counted to take.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgeq.errors import BadInput
from edgeq.nn.data import Labelled
from edgeq.nn.graph_body import GraphBody
from edgeq.nn.loop import History, Plan, descend
from edgeq.nn.model import Model
from edgeq.nn.post_training import graph_copy
from edgeq.nn.rows import Augment
from edgeq.nn.train import cross_entropy, labelled_sets
from edgeq.nn.weight_kinds import weight_kind

START, TRAVEL = 2.0, 16.0  # of the logits behind the bits; the way that they have, at the least
Table = Mapping[str, Mapping[str, float]]  # layer -> kind -> cost


@dataclass(frozen=True)
class Learned:
    """`widths`: the kind of each layer, the nearest to its `bits`. `cost` is theirs, as a share of
    what the widest kinds cost.
    """

    widths: dict[str, str]
    bits: dict[str, float]
    cost: float
    history: History


class _Noise(nn.Module):
    """Weights (out, ...) with the noise of rounding them to so many bits, an output's range each.

    `knots`: (bits, cost) of the widths it may have, narrowest first.
    """

    def __init__(self, knots: Sequence[tuple[float, float]], gain: float) -> None:
        super().__init__()
        self.knots, self.gain = tuple(knots), gain
        self.place = nn.Parameter(torch.tensor(START / gain))

    def bits(self) -> Tensor:
        low, high = self.knots[0][0], self.knots[-1][0]
        return low + (high - low) * torch.sigmoid(self.gain * self.place)

    def cost(self) -> Tensor:
        """Of these bits, on the lines between the widths."""
        bits, total = self.bits(), torch.tensor(self.knots[0][1])
        for (at, cost), (behind, more) in pairwise(self.knots):
            total = total + (more - cost) * ((bits - at) / (behind - at)).clamp(0.0, 1.0)
        return total

    def forward(self, weight: Tensor) -> Tensor:
        if not self.training:
            return weight
        peak = weight.detach().abs().flatten(1).amax(1).reshape(-1, *[1] * (weight.dim() - 1))
        step = 2.0 * peak / (2.0 ** self.bits() - 1.0)
        return weight + step * (torch.rand_like(weight) - 0.5)


def learn_widths(
    model: Model,
    train: Labelled,
    costs: Table,
    price: float,
    *,
    epochs: int = 10,
    batch_size: int = 32,
    lr: float = 1e-3,
    seed: int = 0,
    augment: Augment | None = None,
    label_smoothing: float = 0.05,
    progress: bool = True,
) -> Learned:
    """The width of each layer of a trained float classifier, learned on (x, y) against a price.

    `costs`: of each layer with weights at each kind that it may have, in any unit. The loss is the
    cross entropy plus `price` times the costs of all layers, over those of the widest kinds. A kind
    that costs no less than a wider one is left out. The model stays as it is: quantise it to the
    widths found, and train that on (`fit`). Raises BadInput for another set of layers, costs that
    are not finite, a price below 0, and data that `fit` would refuse.
    """
    if isinstance(price, bool) or not 0 <= price < math.inf:
        raise BadInput(f"the price is {price}; give a number of 0 or more")
    made = graph_copy(model)
    body = made.body
    assert isinstance(body, GraphBody)  # graph_copy makes one
    knots = _knots(body, costs)
    rows, none = labelled_sets(train, None, made)
    steps = max(1, epochs * math.ceil(len(rows[0]) / max(2, batch_size)))
    noises = {}
    for name, layer in body.layers.items():
        layer.set_kind("ptq")
        noises[name] = _Noise([(b, c) for b, c, _ in knots[name]], max(1.0, TRAVEL / (lr * steps)))
        parametrize.register_parametrization(layer, "weight", noises[name])
    whole = sum(k[-1][1] for k in knots.values()) or 1.0

    def loss(one: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        paid = torch.stack([noise.cost() for noise in noises.values()]).sum() / whole
        return cross_entropy(one, x, y, label_smoothing) + price * paid

    plan = Plan(epochs, batch_size, lr, 0.01, seed, None, augment, progress)
    history = descend(made, rows, none, loss, plan)
    bits = {name: float(noise.bits().detach()) for name, noise in noises.items()}
    chosen = {n: min(knots[n], key=lambda knot: (abs(knot[0] - bits[n]), knot[0])) for n in bits}
    cost = sum(c for _, c, _ in chosen.values()) / whole
    return Learned({n: kind for n, (_, _, kind) in chosen.items()}, bits, cost, history)


def _knots(body: GraphBody, costs: Table) -> dict[str, list[tuple[float, float, str]]]:
    """(bits, cost, kind) of what each layer may have, narrowest first, cheaper each."""
    if set(costs) != set(body.layers):
        odd = sorted(set(costs) ^ set(body.layers))[0]
        raise BadInput(
            f"costs: each layer with weights wants some, {', '.join(list(body.layers)[:40])}; "
            f"{odd!r} is {'no such layer' if odd in costs else 'not among them'}"
        )
    found = {}
    for name in body.layers:
        rows = [(weight_kind(k).bits, float(cost), k) for k, cost in costs[name].items()]
        if not rows or not all(0 <= cost < math.inf for _, cost, _ in rows):
            raise BadInput(f"costs: {name} wants a finite cost of 0 or more for a kind or several")
        kept: list[tuple[float, float, str]] = []
        for row in sorted(rows, reverse=True):
            if not kept or (row[1] < kept[-1][1] and row[0] < kept[-1][0]):
                kept.append(row)
        found[name] = kept[::-1]
    return found

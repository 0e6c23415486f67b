"""Trains a mixture's router alone: the cheapest expert that answers well should get the input.

`fit` trains experts and router together, where all experts soon agree on the training set and the
router has little to tell them apart by. Here the experts stand still: what each of them costs an
input is known, its cross entropy plus a price for its precision or its cycles, and the router
learns to choose the smallest. Inputs that it stays unsure of are curiosity's at run time
(arXiv 2511.11743).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn import curiosity
from edgeq.nn.calibration import mixtures
from edgeq.nn.data import Labelled, labelled_tensors
from edgeq.nn.mixture import Mixture
from edgeq.nn.rows import Augment, by_name

BATCH = 64


@dataclass(frozen=True)
class _Descent:
    """How the router is trained: steps of AdamW, its rate, the weight of the entropy, the seed."""

    steps: int
    lr: float
    entropy: float
    seed: int


def fit_router(
    model: nn.Module,
    train: Labelled,
    *,
    price: float = 0.1,
    beta: str = "bits",
    cycles: Sequence[float] | None = None,
    cheap_share: float | None = None,
    entropy: float = 0.02,
    views: int = 4,
    steps: int = 400,
    lr: float = 3e-3,
    seed: int = 0,
    augment: Augment | None = None,
) -> tuple[float, ...]:
    """Trains the router of the model's mixture in place; nothing else changes.

    An input costs expert e its cross entropy + `price` * beta_e, beta from 0 to 1: of the experts'
    "bits", as published, or of the `cycles` of each one's route on a board, as `edgeq.estimate`
    counts them. The loss is the expected cost under the router's probabilities less `entropy`
    times their entropy. Each sample is seen `views` times, through `augment(x, y, generator)` as
    in `fit` when it is given. With `cheap_share` the cheapest expert's last bias is then shifted so
    that this share of the views goes to it, curiosity aside. Calibrate the model afterwards:
    another router has other uncertainties. Returns the share of the views for which each expert
    is the cheapest. Raises BadInput for a model without exactly one mixture, bad data or options.
    """
    found = mixtures(model)
    if len(found) != 1:
        raise BadInput(f"the model has {len(found)} mixtures; fit_router trains the router of one")
    _check(price, entropy, lr, views, steps, cheap_share)
    prices = _prices(found[0], beta, cycles)
    augment = by_name(model, augment)
    x, y = labelled_tensors("training", train, model)
    generator = torch.Generator().manual_seed(seed)
    seen, losses = _observe(model, found[0], (x, y), views, augment, generator)
    costs = losses + price * prices
    _descend(found[0], seen, costs, _Descent(steps, lr, entropy, seed), generator)
    model.eval()
    if cheap_share is not None:
        _send(found[0], seen, int(prices.argmin()), cheap_share)
    best = torch.bincount(costs.argmin(1), minlength=costs.shape[1])
    return tuple((best / len(costs)).tolist())


def _check(
    price: float, entropy: float, lr: float, views: int, steps: int, share: float | None
) -> None:
    if not (price >= 0 and entropy >= 0 and lr > 0 and views >= 1 and steps >= 1):
        raise BadInput(
            f"price {price}, entropy {entropy}, lr {lr}, views {views}, steps {steps}: "
            "price and entropy take 0 or more, lr more than 0, views and steps 1 or more"
        )
    if share is not None and not 0 <= share <= 1:
        raise BadInput(f"cheap_share is {share}; give a share of the inputs, 0 to 1, or None")


def _prices(mixture: Mixture, beta: str, cycles: Sequence[float] | None) -> Tensor:
    """beta (E,): 0 for the least of bits or cycles, 1 for the most; zeros where all are equal."""
    if beta == "bits" and cycles is None:
        return curiosity.precision_weights(mixture.bits).float()
    if beta not in ("bits", "cycles"):
        raise BadInput(f'beta is {beta!r}; choose "cycles", or "bits" as published')
    experts = len(mixture.experts)
    if beta == "bits" or cycles is None:
        raise BadInput('beta="cycles" and cycles=[...] belong together; give both or none')
    counts = [float(count) for count in cycles]
    if len(counts) != experts or not all(0 < count < float("inf") for count in counts):
        raise BadInput(
            f"cycles are {counts}; give one positive number for each of the {experts} experts, "
            'as edgeq.estimate(...)["boards"][0]["routes"] has them'
        )
    return curiosity.precision_weights(counts).float()


@torch.no_grad()
def _send(mixture: Mixture, seen: Tensor, cheap: int, share: float) -> None:
    """Shifts the bias of expert `cheap` so that it gets that share of `seen` (views, features)."""
    logits = mixture.router(seen)
    others = torch.cat([logits[:, :cheap], logits[:, cheap + 1 :]], dim=1).amax(1)
    lacking = torch.sort(others - logits[:, cheap]).values
    at = round(share * len(lacking))
    step = 1e-3 * float(logits.abs().amax().clamp_min(1e-6))
    ends = torch.cat([lacking[:1] - step, lacking, lacking[-1:] + step])
    bias = mixture.router.linears[-1].bias
    assert bias is not None  # a router's layers have one
    bias[cheap] += float((ends[at] + ends[at + 1]) / 2)


def _observe(
    model: nn.Module,
    mixture: Mixture,
    data: tuple[Tensor, Tensor],
    views: int,
    augment: Augment | None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """What the router sees (view, features), and every expert's cross entropy (view, expert)."""
    at: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        router_input = inputs[1] if len(inputs) > 1 else inputs[0]
        at.append((inputs[0], mixture.pool(router_input)))

    seen, losses = list[Tensor](), list[Tensor]()
    model.eval()
    hook = mixture.register_forward_pre_hook(keep)
    try:
        with torch.no_grad():
            for start in [*range(0, len(data[0]), BATCH)] * views:
                x, y = (part[start : start + BATCH] for part in data)
                if augment is not None:
                    x, y = augment(x, y, generator)
                model(x)
                features, router_input = at.pop()
                answers = [expert(features) for expert in mixture.experts]
                each = [F.cross_entropy(logits, y, reduction="none") for logits in answers]
                losses.append(torch.stack(each, dim=1))
                seen.append(router_input)
    finally:
        hook.remove()
    return torch.cat(seen), torch.cat(losses)


def _descend(
    mixture: Mixture,
    seen: Tensor,
    costs: Tensor,
    how: _Descent,
    generator: torch.Generator,
) -> None:
    """AdamW on the expected cost; dropout draws from a generator state of its own."""
    router = mixture.router
    optimizer = torch.optim.AdamW(router.parameters(), lr=how.lr, weight_decay=0.01)
    router.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.seed)
        for _ in range(how.steps):
            rows = torch.randint(len(seen), (min(BATCH, len(seen)),), generator=generator)
            log_p = torch.log_softmax(router(seen[rows]), dim=-1)
            loss = (log_p.exp() * (costs[rows] + how.entropy * log_p)).sum(1).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

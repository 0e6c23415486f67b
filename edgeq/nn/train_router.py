"""Trains a mixture's router alone: the cheapest expert that answers well should get the input.

`fit` trains experts and router together, where all experts soon agree on the training set and the
router has little to tell them apart by. Here the experts stand still: what each of them costs an
input is known, its cross entropy plus a price for its precision, and the router learns to choose
the smallest. Inputs that it stays unsure of are curiosity's at run time (arXiv 2511.11743).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn import curiosity
from edgeq.nn.calibration import mixtures
from edgeq.nn.data import Labelled, labelled_tensors
from edgeq.nn.loop import Augment
from edgeq.nn.mixture import Mixture

BATCH = 64


def fit_router(
    model: nn.Module,
    train: Labelled,
    *,
    price: float = 0.1,
    entropy: float = 0.02,
    views: int = 4,
    steps: int = 400,
    lr: float = 3e-3,
    seed: int = 0,
    augment: Augment | None = None,
) -> tuple[float, ...]:
    """Trains the router of the model's mixture in place; nothing else changes.

    An input costs expert e its cross entropy + `price` * beta_e, beta from 0 (the least precise)
    to 1 (the most precise expert). The loss is the expected cost under the router's probabilities
    less `entropy` times their entropy. Each sample is seen `views` times, through
    `augment(x, y, generator)` as in `fit` when it is given. Calibrate the model afterwards:
    another router has other uncertainties. Returns the share of the views for which each expert
    is the cheapest. Raises BadInput for a model without exactly one mixture, bad data or options.
    """
    found = mixtures(model)
    if len(found) != 1:
        raise BadInput(f"the model has {len(found)} mixtures; fit_router trains the router of one")
    if not (price >= 0 and entropy >= 0 and lr > 0 and views >= 1 and steps >= 1):
        raise BadInput(
            f"price {price}, entropy {entropy}, lr {lr}, views {views}, steps {steps}: "
            "price and entropy take 0 or more, lr more than 0, views and steps 1 or more"
        )
    x, y = labelled_tensors("training", train)
    generator = torch.Generator().manual_seed(seed)
    seen, losses = _observe(model, found[0], (x, y), views, augment, generator)
    beta = curiosity.precision_weights(found[0].bits).float()
    costs = losses + price * beta
    _descend(found[0], seen, costs, steps, lr, entropy, generator, seed)
    model.eval()
    best = torch.bincount(costs.argmin(1), minlength=costs.shape[1])
    return tuple((best / len(costs)).tolist())


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
    steps: int,
    lr: float,
    entropy: float,
    generator: torch.Generator,
    seed: int,
) -> None:
    """AdamW on the expected cost; dropout draws from a generator state of its own."""
    router = mixture.router
    optimizer = torch.optim.AdamW(router.parameters(), lr=lr, weight_decay=0.01)
    router.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(steps):
            rows = torch.randint(len(seen), (min(BATCH, len(seen)),), generator=generator)
            log_p = torch.log_softmax(router(seen[rows]), dim=-1)
            loss = (log_p.exp() * (costs[rows] + entropy * log_p)).sum(1).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

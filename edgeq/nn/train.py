"""Training on labels. No test set goes in: `fit` takes a training and a validation set, and
refuses two that overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.calibration import mixtures, routed
from edgeq.nn.data import Labelled, class_weight_values, labelled_tensors, refuse_overlap
from edgeq.nn.loop import Frozen, History, Plan, Rows, descend, labelled
from edgeq.nn.rows import Augment


@dataclass(frozen=True)
class _Loss:
    weights: Tensor
    smoothing: float
    balance: float
    expert: float

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        answer = model(x)
        pairs = labelled(answer, y)
        loss = self._cross_entropy(*pairs[0])
        for logits, labels in pairs[1:]:
            loss = loss + F.cross_entropy(logits, labels, label_smoothing=self.smoothing)
        for mixture in mixtures(model):
            if mixture.balance_loss is not None:
                loss = loss + self.balance * mixture.balance_loss
        for routed_part in routed(model) if isinstance(answer, Tensor) else ():
            alone = [self._cross_entropy(logits, y) for logits in routed_part.expert_logits]
            loss = loss + self.expert * torch.stack(alone).mean()
        return loss

    def _cross_entropy(self, logits: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(logits, y, self.weights, label_smoothing=self.smoothing)


def fit(
    model: nn.Module,
    train: Labelled,
    validation: Labelled | None = None,
    *,
    epochs: int = 30,
    batch_size: int = 32,
    lr: float = 3e-3,
    class_weights: str | Sequence[float] | None = None,
    balance: float = 0.1,
    expert: float = 0.5,
    seed: int = 0,
    patience: int | None = None,
    augment: Augment | None = None,
    progress: bool = True,
    label_smoothing: float = 0.05,
    weight_decay: float = 0.01,
    freeze: Frozen = (),
) -> History:
    """Train `model` in place on (x, y); the weights of the best validation epoch stay in it.

    Without a validation set the last weights stay. `balance` weighs the mixtures' load-balancing
    loss (train mode straight_through wants 0.3), `expert` a loss that asks each expert to answer
    every sample alone (curiosity may send it any). `augment(x, y, generator)` returns a batch in
    its place; y may become (N, C) probabilities. Several inputs are a dict in `x`, and in
    `augment`; labels of several outputs a dict of those that are trained, whose losses are added
    (`class_weights` and labels without a name are the first's). `patience` epochs without a better
    validation result end the run. `freeze` holds modules inside `model` that stand still, their
    statistics and activation ranges too: a trunk, an expert that is finished. The same seed gives
    the same weights on one machine with one number of threads; another machine or version of torch
    rounds otherwise and ends elsewhere. torch's global generator is left as it was.
    Raises BadInput for data of the wrong form or overlapping.
    """
    rows, checked = labelled_sets(train, validation, model)
    every = torch.cat([y for _, y in (rows, checked)])
    classes, labels = count_classes(model, rows[0], every), rows[1]
    if labels.dim() == 2:
        labels = labels[:, 0].clamp_min(0)
    weights = class_weight_values(class_weights, labels.numpy(), classes)
    plan = Plan(epochs, batch_size, lr, weight_decay, seed, patience, augment, progress)
    loss = _Loss(torch.from_numpy(weights), label_smoothing, balance, expert)
    return descend(model, rows, checked, loss, plan, freeze)


def cross_entropy(model: nn.Module, x: Tensor, y: Tensor, smoothing: float) -> Tensor:
    """The loss of a single network: summed over the outputs that have labels."""
    pairs = labelled(model(x), y)
    losses = [F.cross_entropy(logits, own, label_smoothing=smoothing) for logits, own in pairs]
    return torch.stack(losses).sum()


def labelled_sets(
    train: Labelled, validation: Labelled | None, model: nn.Module
) -> tuple[Rows, Rows]:
    """Both data sets as tensors, the second empty for None; BadInput when they share a row."""
    x, y = labelled_tensors("training", train, model)
    if validation is None:
        return (x, y), (x[:0], y[:0])
    vx, vy = labelled_tensors("validation", validation, model)
    if vy.shape[1:] != y.shape[1:]:
        raise BadInput("the labels of both sets must be alike: a dict in each, or in none")
    refuse_overlap(x.numpy(), vx.numpy())
    return (x, y), (vx, vy)


def count_classes(model: nn.Module, x: Tensor, y: Tensor) -> int:
    """How many classes the model's answer has; a first evaluation forward also checks the shapes.

    Raises BadInput where labels y, of any output, need more.
    """
    with torch.no_grad():
        answer = model.eval()(x[:2])
    pairs = labelled(answer, y)
    for out, labels in pairs:
        needed = int(labels.max()) + 1
        if out.dim() != 2 or out.shape[1] < needed:
            raise BadInput(f"the labels need {needed} classes, the model gives {tuple(out.shape)}")
    first = answer if isinstance(answer, Tensor) else next(iter(answer.values()))
    return int(first.shape[1])

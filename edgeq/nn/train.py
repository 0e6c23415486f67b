"""The training loop: AdamW and a cosine, early stopping on a validation set, the best weights kept.

No test set goes in: `fit` takes a training and a validation set, and refuses two that overlap.
"""

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.calibration import mixtures
from edgeq.nn.data import Labelled, class_weight_values, refuse_overlap

Augment = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Epoch:
    """One epoch: mean training loss, validation cross entropy and accuracy."""

    train_loss: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class History:
    """What happened: one entry an epoch, the index of the one whose weights were kept."""

    epochs: tuple[Epoch, ...]
    best: int
    seconds: float

    @property
    def best_accuracy(self) -> float:
        """Validation accuracy of the kept weights."""
        return self.epochs[self.best].validation_accuracy


@dataclass(frozen=True)
class _Loss:
    weights: Tensor
    smoothing: float
    balance: float
    expert: float

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        loss = self._cross_entropy(model(x), y)
        for mixture in mixtures(model):
            if mixture.balance_loss is not None:
                loss = loss + self.balance * mixture.balance_loss
            alone = [self._cross_entropy(logits, y) for logits in mixture.expert_logits]
            loss = loss + self.expert * torch.stack(alone).mean()
        return loss

    def _cross_entropy(self, logits: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(logits, y, self.weights, label_smoothing=self.smoothing)


def fit(
    model: nn.Module,
    train: Labelled,
    validation: Labelled,
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
) -> History:
    """Train `model` in place on (x, y); the weights of the best validation epoch stay in it.

    `balance` weighs the mixtures' load-balancing loss (train mode straight_through wants 0.3),
    `expert` a loss that asks each expert to answer every sample alone (curiosity may send it
    any). `augment(x, y, generator)` returns a batch in its place; y may become (N, C)
    probabilities. `patience` epochs without a better validation result end the run. The same
    seed gives the same weights on one machine; torch's global generator is left as it was.
    Raises BadInput for data of the wrong form or overlapping.
    """
    (x, y), (vx, vy) = _sets(train, validation)
    steps = _steps(len(x), epochs, batch_size)
    classes = _classes(model, x, max(int(y.max()), int(vy.max())) + 1)
    weights = class_weight_values(class_weights, y.numpy(), classes)
    loss = _Loss(torch.from_numpy(weights), label_smoothing, balance, expert)
    optimizer, schedule = _optimizer(model, lr, weight_decay, steps)
    generator = torch.Generator().manual_seed(seed)
    start, history, kept = time.monotonic(), list[Epoch](), _Best()
    with torch.random.fork_rng(devices=[]), _bar(progress, epochs) as advance:
        torch.manual_seed(seed)
        for epoch in range(epochs):
            order = torch.randperm(len(x), generator=generator)
            batches = ((x[rows], y[rows]) for rows in _batches(order, batch_size))
            augmented = _augmented(batches, augment, generator)
            mean = _train(model, augmented, loss, optimizer, schedule)
            history.append(Epoch(mean, *evaluate(model, vx, vy)))
            kept.offer(epoch, history[-1], model)
            advance(history[-1])
            _refuse_divergence(history, lr)
            if patience is not None and epoch - kept.epoch >= patience:
                break
    kept.restore(model)
    return History(tuple(history), kept.epoch, time.monotonic() - start)


_Rows = tuple[Tensor, Tensor]  # x, y


def _sets(train: Labelled, validation: Labelled) -> tuple[_Rows, _Rows]:
    """Both data sets as tensors; BadInput when they share a row."""
    x, y = labelled_tensors("training", train)
    vx, vy = labelled_tensors("validation", validation)
    refuse_overlap(x.numpy(), vx.numpy())
    return (x, y), (vx, vy)


def _steps(rows: int, epochs: int, batch_size: int) -> int:
    if epochs < 1 or batch_size < 2:
        raise BadInput(f"epochs is {epochs} (at least 1), batch_size {batch_size} (at least 2)")
    return epochs * len(list(_batches(torch.arange(rows), batch_size)))


def _augmented(
    batches: Iterable[_Rows], augment: Augment | None, generator: torch.Generator
) -> Iterable[_Rows]:
    return batches if augment is None else (augment(x, y, generator) for x, y in batches)


def _refuse_divergence(history: Sequence[Epoch], lr: float) -> None:
    if not math.isfinite(history[-1].train_loss):
        raise BadInput(f"training diverged in epoch {len(history)}: lower lr (now {lr:g})")


def _train(
    model: nn.Module,
    batches: Iterable[_Rows],
    loss: _Loss,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """One epoch; the mean loss of its batches."""
    model.train()
    total, count = 0.0, 0
    for x, y in batches:
        value = loss(model, x, y)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        total, count = total + float(value.detach()), count + 1
    return total / count


class _Best:
    """The weights of the best epoch: higher accuracy, then lower loss."""

    def __init__(self) -> None:
        self.epoch = 0
        self.key = (-math.inf, -math.inf)
        self.state: dict[str, Tensor] | None = None

    def offer(self, epoch: int, result: Epoch, model: nn.Module) -> None:
        key = (result.validation_accuracy, -result.validation_loss)
        if key > self.key:
            self.epoch, self.key = epoch, key
            self.state = copy.deepcopy(model.state_dict())

    def restore(self, model: nn.Module) -> None:
        if self.state is not None:
            model.load_state_dict(self.state)
        model.eval()


@torch.no_grad()
def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """(cross entropy, accuracy) in evaluation mode, which the model is left in."""
    model.eval()
    chunks = [model(x[i : i + EVALUATION_BATCH]) for i in range(0, len(x), EVALUATION_BATCH)]
    logits = torch.cat(chunks)
    accuracy = (logits.argmax(1) == y).double().mean()
    return float(F.cross_entropy(logits, y)), float(accuracy)


def _classes(model: nn.Module, x: Tensor, labels: int) -> int:
    """How many classes the model answers; a first evaluation forward also checks the shapes."""
    with torch.no_grad():
        out = model.eval()(x[:2])
    if out.dim() != 2 or out.shape[1] < labels:
        raise BadInput(f"the labels need {labels} classes, the model gives {tuple(out.shape)}")
    return int(out.shape[1])


def labelled_tensors(what: str, data: Labelled) -> tuple[Tensor, Tensor]:
    """(x, y) as float32 and int64 tensors; BadInput, naming the set, for anything else."""
    x, y = (np.asarray(part) for part in data)
    if len(x) == 0 or y.shape != (len(x),) or y.dtype.kind not in "iu" or y.min() < 0:
        raise BadInput(
            f"the {what} set needs (x, y) with one label of 0 or more for each sample; "
            f"got {x.shape} and {y.shape} {y.dtype}"
        )
    if not np.isfinite(x).all():
        raise BadInput(f"the {what} set holds NaN or infinite values")
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y.astype(np.int64))


def _batches(order: Tensor, size: int) -> Iterator[Tensor]:
    """Slices of `order`; a last single sample is left out, batch statistics need two."""
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        if len(rows) > 1 or start == 0:
            yield rows


def _optimizer(
    model: nn.Module, lr: float, decay: float, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW that decays matrices and filters only, and a cosine from lr to 0 over `steps`."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1.0 + math.cos(math.pi * min(step / steps, 1.0)))
    )
    return optimizer, schedule


@contextmanager
def _bar(show: bool, epochs: int) -> Iterator[Callable[[Epoch], None]]:
    """A progress bar on stderr, so that stdout stays free for --json."""
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not show) as bar:
        task = bar.add_task("training", total=epochs, state="")

        def advance(epoch: Epoch) -> None:
            state = f"loss {epoch.train_loss:.3f} validation {epoch.validation_accuracy:.1%}"
            bar.update(task, advance=1, state=state)

        yield advance

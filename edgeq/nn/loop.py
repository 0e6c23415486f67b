"""The training loop: AdamW and a cosine, early stopping on a validation set, best weights kept."""

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.data import ABSENT
from edgeq.nn.rows import Answer, Augment, by_name, together

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
Frozen = Sequence[nn.Module]
Rows = tuple[Tensor, Tensor]  # x, y
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
class Plan:
    """How a training runs; `fit` says what each means."""

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    seed: int
    patience: int | None
    augment: Augment | None
    progress: bool


def descend(
    model: nn.Module, train: Rows, validation: Rows, loss: Loss, plan: Plan, freeze: Frozen = ()
) -> History:
    """Minimises `loss(model, x, y)` over the batches of `train`, in place.

    Keeps the weights of the best validation epoch; with no validation rows those of the last.
    Raises BadInput for a plan that cannot run, for modules to freeze that are not in the model,
    and when training diverges.
    """
    (x, y), (vx, vy) = train, validation
    steps = _steps(len(x), plan.epochs, plan.batch_size)
    _refuse_strangers(model, freeze)
    generator = torch.Generator().manual_seed(plan.seed)
    start, history, kept = time.monotonic(), list[Epoch](), _Best()
    with torch.random.fork_rng(devices=[]), _bar(plan) as advance, _still(freeze):
        optimizer, schedule = _optimizer(model, plan.lr, plan.weight_decay, steps)
        torch.manual_seed(plan.seed)
        for epoch in range(plan.epochs):
            order = torch.randperm(len(x), generator=generator)
            batches = ((x[rows], y[rows]) for rows in _batches(order, plan.batch_size))
            augmented = _augmented(batches, by_name(model, plan.augment), generator)
            _train_mode(model, freeze)
            mean = _train(model, augmented, loss, optimizer, schedule)
            history.append(Epoch(mean, *evaluate(model, vx, vy)))
            kept.offer(epoch, history[-1], model)
            advance(history[-1])
            _refuse_divergence(history, plan.lr)
            _refuse_standstill(optimizer)
            if plan.patience is not None and epoch - kept.epoch >= plan.patience:
                break
    kept.restore(model)
    return History(tuple(history), kept.epoch, time.monotonic() - start)


def _train_mode(model: nn.Module, freeze: Frozen) -> None:
    model.train()
    for module in freeze:
        module.eval()


def _refuse_strangers(model: nn.Module, freeze: Frozen) -> None:
    inside = {id(module) for module in model.modules()}
    for module in freeze:
        if id(module) not in inside:
            raise BadInput(
                f"freeze holds a {type(module).__name__} that is not part of the model; give "
                "modules inside it, such as model.body[0]"
            )


@contextmanager
def _still(freeze: Frozen) -> Iterator[None]:
    """The parameters of these modules take no gradient while it lasts."""
    held = [p for module in freeze for p in module.parameters() if p.requires_grad]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)


def _steps(rows: int, epochs: int, batch_size: int) -> int:
    if epochs < 1 or batch_size < 2:
        raise BadInput(f"epochs is {epochs} (at least 1), batch_size {batch_size} (at least 2)")
    return epochs * len(list(_batches(torch.arange(rows), batch_size)))


def _augmented(
    batches: Iterable[Rows], augment: Augment | None, generator: torch.Generator
) -> Iterable[Rows]:
    return batches if augment is None else (augment(x, y, generator) for x, y in batches)


def _refuse_divergence(history: Sequence[Epoch], lr: float) -> None:
    if not math.isfinite(history[-1].train_loss):
        raise BadInput(f"training diverged in epoch {len(history)}: lower lr (now {lr:g})")


def _refuse_standstill(optimizer: torch.optim.Optimizer) -> None:
    """A frozen part rounds as it will on the device, which passes no gradient on."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
    if not any(g is not None and bool(g.any()) for g in gradients):
        raise BadInput(
            "no gradient reaches what is left to train: the frozen part lies behind it; freeze "
            "what the input meets first, or the whole of an expert"
        )


def _train(
    model: nn.Module,
    batches: Iterable[Rows],
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """One epoch; the mean loss of its batches."""
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
        if key > self.key or math.isnan(result.validation_accuracy):  # nothing to choose by
            self.epoch, self.key = epoch, key
            self.state = copy.deepcopy(model.state_dict())

    def restore(self, model: nn.Module) -> None:
        if self.state is not None:
            model.load_state_dict(self.state)
        model.eval()


@torch.no_grad()
def answers(model: nn.Module, x: Tensor) -> Answer:
    """Logits (N, C), of several outputs by name, in evaluation mode, which the model is left in."""
    model.eval()
    starts = range(0, len(x), EVALUATION_BATCH)
    return together([model(x[i : i + EVALUATION_BATCH]) for i in starts])


def labelled(answer: Answer, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The logits of each output that has labels, with them; labels without a name are the first's.

    y (N,), or (N, outputs) int64 by output, or (N, C) probabilities.
    """
    if isinstance(answer, Tensor):
        return [(answer, y[:, 0] if y.dim() == 2 and not y.is_floating_point() else y)]
    logits = list(answer.values())
    if y.dim() == 1 or y.is_floating_point():
        return [(logits[0], y)]
    pairs = zip(logits, y.unbind(1), strict=True)
    return [(each, labels) for each, labels in pairs if bool((labels != ABSENT).all())]


def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """(cross entropy, accuracy) in evaluation mode, which the model is left in; nan for no rows.

    Of several outputs the sum, and the mean.
    """
    if len(x) == 0:
        model.eval()
        return math.nan, math.nan
    pairs = labelled(answers(model, x), y)
    right = [(logits.argmax(1) == labels).double().mean() for logits, labels in pairs]
    losses = [F.cross_entropy(logits, labels) for logits, labels in pairs]
    return float(torch.stack(losses).sum()), float(torch.stack(right).mean())


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
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise BadInput("every parameter of the model is frozen: nothing is left to train")
    matrices = [p for p in trained if p.dim() > 1]
    others = [p for p in trained if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1.0 + math.cos(math.pi * min(step / steps, 1.0)))
    )
    return optimizer, schedule


@contextmanager
def _bar(plan: Plan) -> Iterator[Callable[[Epoch], None]]:
    """A progress bar on stderr, so that stdout stays free for --json."""
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not plan.progress) as bar:
        task = bar.add_task("training", total=plan.epochs, state="")

        def advance(epoch: Epoch) -> None:
            state = f"loss {epoch.train_loss:.3f}"
            if not math.isnan(epoch.validation_accuracy):
                state += f" validation {epoch.validation_accuracy:.1%}"
            bar.update(task, advance=1, state=state)

        yield advance

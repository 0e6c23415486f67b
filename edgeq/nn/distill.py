"""Training a student on a teacher's answers (knowledge distillation, arXiv 1503.02531)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.data import Labelled, count_rows
from edgeq.nn.loop import Frozen, History, Loss, Plan, Rows, answers, descend
from edgeq.nn.rows import Augment, joined
from edgeq.nn.train import count_classes, labelled_sets


@dataclass(frozen=True)
class _SoftLoss:
    """(1 - hard) * T^2 * KL(teacher || student) at temperature T, + hard * cross entropy."""

    temperature: float
    hard: float

    def __call__(self, answered: Tensor, taught: Tensor, y: Tensor) -> Tensor:
        soft = F.log_softmax(taught / self.temperature, dim=-1)
        answer = F.log_softmax(answered / self.temperature, dim=-1)
        loss = F.kl_div(answer, soft, reduction="batchmean", log_target=True)
        loss = (1.0 - self.hard) * self.temperature**2 * loss
        return loss + self.hard * F.cross_entropy(answered, y) if self.hard else loss


def _asking(teacher: nn.Module, loss: _SoftLoss) -> Loss:
    """The teacher is asked about each batch."""

    def ask(student: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        with torch.no_grad():
            taught = teacher(x)
        return loss(student(x), taught, y)

    return ask


def _asked(teacher: nn.Module, rows: Rows, loss: _SoftLoss) -> tuple[Rows, Loss]:
    """The teacher is asked once about every row: `y` then counts the rows."""
    x, y = rows
    taught = joined(answers(teacher, x))

    def look_up(student: nn.Module, inputs: Tensor, row: Tensor) -> Tensor:
        return loss(student(inputs), taught[row], y[row])

    return (x, torch.arange(len(x))), look_up


def distill(
    student: nn.Module,
    teacher: nn.Module,
    data: Labelled | np.ndarray[Any, Any] | Mapping[str, Any],
    validation: Labelled | None = None,
    *,
    temperature: float = 2.0,
    hard: float = 0.2,
    epochs: int = 30,
    batch_size: int = 32,
    lr: float = 3e-3,
    seed: int = 0,
    patience: int | None = None,
    augment: Augment | None = None,
    progress: bool = True,
    weight_decay: float = 0.01,
    freeze: Frozen = (),
) -> History:
    """Train `student` in place to answer as `teacher` does, which stands still.

    `data` is (x, y), or x (N, ...) alone: then only the teacher says what is right. It is asked
    once about every row, or with `augment` about every batch; `temperature` softens both answers,
    the labels weigh `hard`. The other arguments are those of `fit`. A student inside a larger
    model (an expert, an early exit) can be trained alone; what stands still in the student is in
    `freeze`. Raises BadInput for data of the wrong form, overlapping sets, a student and teacher
    that answer different classes, and options out of range.
    """
    if not (temperature > 0 and 0.0 <= hard <= 1.0):
        raise BadInput(
            f"temperature is {temperature} (more than 0), hard is {hard}; hard takes 0 to 1"
        )
    labelled = isinstance(data, tuple)
    given = data if isinstance(data, tuple) else (data, np.zeros(count_rows(data), np.int64))
    rows, checked = labelled_sets(given, validation, student)
    _same_classes(student, teacher, rows[0])
    loss = _SoftLoss(temperature, hard if labelled else 0.0)
    if augment is None:
        rows, step = _asked(teacher, rows, loss)
    else:
        step = _asking(teacher, loss)
    plan = Plan(epochs, batch_size, lr, weight_decay, seed, patience, augment, progress)
    return descend(student, rows, checked, step, plan, freeze)


def _same_classes(student: nn.Module, teacher: nn.Module, x: Tensor) -> None:
    """Both are left in evaluation mode."""
    if any(len(getattr(model, "outputs", ())) > 1 for model in (student, teacher)):
        raise BadInput("distill takes models of one output; train one of several with fit")
    none = torch.zeros(1, dtype=torch.int64)
    counts = [count_classes(model, x, none) for model in (student, teacher)]
    if counts[0] != counts[1]:
        raise BadInput(
            f"the student answers {counts[0]} classes, the teacher {counts[1]}; both need the same"
        )

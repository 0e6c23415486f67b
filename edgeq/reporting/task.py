"""What a model does, as far as its shapes and its data set tell: only a classifier has accuracy."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeq.ops.op import Array
from edgeq.task import ProfiledTask, Task

UNLABELLED = -1  # the label of a row of a data set without labels
SMALLEST_AUTOENCODER = 8  # inputs; below it two features and two classes are as likely


def task_of(inputs: int, outputs: int, class_names: Sequence[str] | None, labels: Array) -> Task:
    """Where nobody stated the task. A single output names no class; as many outputs as inputs, and
    labels that only tell normal (0) from odd (1), are a reconstruction. Class names say that it is
    a classifier.
    """
    if outputs == 1:
        return "regression"
    told = labels.size > 0 and labels.max() <= 1
    if class_names is None and told and outputs == inputs >= SMALLEST_AUTOENCODER:
        return "autoencoder"
    return "classification"


def scored(task: Task, labels: Array, targets: Array | None) -> ProfiledTask:
    """The task of a run: without labels or targets nothing is judged, whatever it is."""
    none = targets is None and labels.size > 0 and bool((labels == UNLABELLED).all())
    return "unlabelled" if none else task


def errors(targets: Array, outputs: Array) -> dict[str, float]:
    """How far real outputs (N, values) are from their targets."""
    apart = outputs - targets
    return {"mae": float(np.abs(apart).mean()), "rmse": float(np.sqrt(np.square(apart).mean()))}


def reconstruction(inputs: Array, outputs: Array, labels: Array) -> dict[str, Any]:
    """Mean squared errors of real rows (N, features), by label, and how well they tell it.

    `auc`: the chance that an odd row's error is above a normal one's; None with one label only.
    """
    errors = np.square(inputs - outputs).mean(axis=1)
    normal, odd = errors[labels == 0], errors[labels == 1]
    auc = None
    if normal.size and odd.size:
        above = (odd[:, None] > normal).mean() + (odd[:, None] == normal).mean() / 2
        auc = float(above)
    return {
        "mse": float(errors.mean()),
        "mse_normal": float(normal.mean()) if normal.size else None,
        "mse_odd": float(odd.mean()) if odd.size else None,
        "auc": auc,
    }

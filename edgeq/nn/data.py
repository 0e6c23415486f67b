"""Splitting labelled data into parts that share no sample, and proving that they do not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edgeq.errors import BadInput

Array = npt.NDArray[Any]
Labelled = tuple[Any, Any]


@dataclass(frozen=True)
class Split:
    """Three (x, y) parts without a common sample; fit takes the first two only."""

    train: tuple[Array, Array]
    validation: tuple[Array, Array]
    test: tuple[Array, Array]


def split(
    x: Array, y: Array, *, validation: float = 0.15, test: float = 0.2, seed: int = 0
) -> Split:
    """Shuffled and stratified by label: every class gives its share to each part."""
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise BadInput(f"shares must be positive and sum below 1, got {validation} and {test}")
    rng = np.random.default_rng(seed)
    parts: tuple[list[Array], list[Array], list[Array]] = ([], [], [])
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        ends = np.cumsum([round(len(rows) * test), round(len(rows) * validation)])
        for part, chunk in zip(parts, np.split(rows, ends), strict=True):
            part.append(chunk)
    third, second, first = (np.sort(np.concatenate(p)) for p in parts)
    return Split((x[first], y[first]), (x[second], y[second]), (x[third], y[third]))


def refuse_overlap(train: Array, validation: Array) -> None:
    """Raises BadInput when a validation sample is also, byte for byte, a training sample."""
    if len(train) == 0 or len(validation) == 0:
        raise BadInput(
            f"{len(train)} training and {len(validation)} validation samples: both must hold some"
        )
    seen = {row.tobytes() for row in np.ascontiguousarray(train)}
    shared = sum(row.tobytes() in seen for row in np.ascontiguousarray(validation))
    if shared:
        raise BadInput(
            f"{shared} of {len(validation)} validation samples are training samples too; "
            "early stopping would choose by data it was fitted to: split first (edgeq.nn.split)"
        )


def class_weight_values(weights: str | Sequence[float] | None, y: Array, classes: int) -> Array:
    """float32 (classes,): ones for None, inverse frequency for "balanced", or as given."""
    if weights is None:
        return np.ones(classes, dtype=np.float32)
    if isinstance(weights, str):
        if weights != "balanced":
            raise BadInput(f'class_weights is {weights!r}; give "balanced", numbers or None')
        counts = np.maximum(np.bincount(y, minlength=classes), 1)
        return (len(y) / (classes * counts)).astype(np.float32)
    values = np.asarray(weights, dtype=np.float32)
    if values.shape != (classes,) or not np.isfinite(values).all() or values.min() < 0:
        raise BadInput(f"class_weights must be {classes} finite numbers of at least 0")
    return values


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

"""Splitting labelled data into parts that share no sample, and proving that they do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edgeq.arrays import Shapes
from edgeq.errors import BadInput
from edgeq.nn.rows import joined_rows

Array = npt.NDArray[Any]
Arrays = Array | Mapping[str, Array]  # of several inputs or outputs one a name
Labelled = tuple[Any, Any]
ABSENT = -1  # the label of an output that a data set says nothing of


@dataclass(frozen=True)
class Split:
    """Three (x, y) parts without a common sample; fit takes the first two only."""

    train: Labelled
    validation: Labelled
    test: Labelled


def split(
    x: Arrays, y: Arrays, *, validation: float = 0.15, test: float = 0.2, seed: int = 0
) -> Split:
    """Shuffled and stratified by label: every class gives its share to each part.

    `x` is an array, of several inputs a dict of them; `y` the labels, of several outputs a dict,
    whose first is stratified by.
    """
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise BadInput(f"shares must be positive and sum below 1, got {validation} and {test}")
    labels = next(iter(y.values())) if isinstance(y, Mapping) else y
    rng = np.random.default_rng(seed)
    parts: tuple[list[Array], list[Array], list[Array]] = ([], [], [])
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        ends = np.cumsum([round(len(rows) * test), round(len(rows) * validation)])
        for part, chunk in zip(parts, np.split(rows, ends), strict=True):
            part.append(chunk)
    third, second, first = (np.sort(np.concatenate(p)) for p in parts)
    return Split(*((_taken(x, rows), _taken(y, rows)) for rows in (first, second, third)))


def _taken(data: object, rows: Array) -> object:
    if isinstance(data, Mapping):
        return {name: np.asarray(array)[rows] for name, array in data.items()}
    return np.asarray(data)[rows]


def count_rows(x: object) -> int:
    """Samples in an array, or in a dict of several."""
    return len(np.asarray(next(iter(x.values()), ()) if isinstance(x, Mapping) else x))


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


def labelled_tensors(what: str, data: Labelled, model: object = None) -> tuple[Tensor, Tensor]:
    """(x, y) as float32 and int64 tensors; BadInput, naming the set, for anything else.

    `x` by name becomes joined rows of `model`; `y` by name (N, outputs), ABSENT for an output of
    the model that it leaves out.
    """
    inputs: Shapes = getattr(model, "inputs", {})
    outputs: Shapes = getattr(model, "outputs", {})
    several = len(inputs) > 1 or isinstance(data[0], Mapping)
    x = joined_rows(f"{what} set", data[0], inputs) if several else np.asarray(data[0])
    y = _columns(what, data[1], outputs) if isinstance(data[1], Mapping) else np.asarray(data[1])
    by_name = isinstance(data[1], Mapping)
    good = by_name or (y.ndim == 1 and y.dtype.kind in "iu" and y.min(initial=0) >= 0)
    if len(x) == 0 or y.shape[:1] != (len(x),) or not good:
        raise BadInput(
            f"the {what} set needs (x, y) with one label of 0 or more for each sample; "
            f"got {x.shape} and {y.shape} {y.dtype}"
        )
    if not np.isfinite(x).all():
        raise BadInput(f"the {what} set holds NaN or infinite values")
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y.astype(np.int64))


def _columns(what: str, y: Mapping[str, Any], outputs: Shapes) -> Array:
    """Labels by output as (N, outputs)."""
    strange = [name for name in y if name not in outputs]
    if strange or not y:
        raise BadInput(
            f"the {what} set has labels of {', '.join(map(str, y)) or 'nothing'}; the model's "
            f"outputs are {', '.join(outputs) or 'without names: train an edgeq.nn.Model'}"
        )
    given = {name: np.asarray(labels) for name, labels in y.items()}
    for name, labels in given.items():
        rows = len(next(iter(given.values())))
        if labels.shape != (rows,) or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
            raise BadInput(
                f"the {what} set needs one label of 0 or more a sample for output {name!r}; got "
                f"{labels.shape} {labels.dtype}"
            )
    absent = np.full(len(next(iter(given.values()))), ABSENT, np.int64)
    return np.stack([given.get(name, absent) for name in outputs], axis=1)

"""Rows of a model's data: arrays outside, by name where there are several inputs; joined inside.

Joined rows are (N, *shape) of the only input, or (N, values): each input flattened in the user's
own order of axes, one after another, as ports are (ir/ports.py).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edgeq import arrays
from edgeq.arrays import Shapes
from edgeq.errors import BadInput

Floats = npt.NDArray[np.float32]
Augment = Callable[[Any, Tensor, torch.Generator], tuple[Any, Tensor]]
Answer = Tensor | dict[str, Tensor]  # of one output, or of several by name


def as_numpy(x: object) -> npt.NDArray[Any]:
    """An array, of a tensor too."""
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)


def joined_rows(what: str, x: object, inputs: Shapes) -> Floats:
    """A user's data for a model as joined rows, float32.

    `x`: an array (N, *shape), of several inputs a dict of one a name, or rows joined already.
    Raises BadInput, naming the set, for other shapes and names.
    """
    if isinstance(x, Mapping):
        if set(x) != set(inputs):
            given = ", ".join(map(str, list(x)[:20]))
            raise BadInput(f"the {what} has {given}; the model's inputs are {', '.join(inputs)}")
        parts = {n: _shaped(f"{what}: {n}", x[n], shape) for n, shape in inputs.items()}
        arrays.check_lengths(parts, f"the {what}")
        return np.ascontiguousarray(arrays.joined(parts))
    try:
        return _shaped(what, x, arrays.row_shape(inputs))
    except BadInput as error:
        if len(inputs) == 1:
            raise
        named = ", ".join(f"{name!r}: {_said(shape)}" for name, shape in inputs.items())
        raise BadInput(f"{error}; give a dict {{{named}}}") from None


def _shaped(what: str, x: object, shape: tuple[int, ...]) -> Floats:
    array = np.ascontiguousarray(as_numpy(x), dtype=np.float32)
    if array.ndim == 0 or array.shape[1:] != shape:
        raise BadInput(f"the {what} has shape {array.shape}, the model takes {_said(shape)}")
    return array


def _said(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, ('N', *shape)))})"


def parted(x: Tensor | Mapping[str, Tensor], inputs: Shapes) -> Mapping[str, Tensor]:
    """Joined rows, or what is by name already, as a tensor (N, *shape) each input."""
    if not isinstance(x, Mapping):
        return arrays.parts(x, inputs)
    if set(x) != set(inputs):
        given = ", ".join(map(str, list(x)[:20]))
        raise BadInput(f"inputs {given}; the model's are {', '.join(inputs)}")
    return {name: x[name] for name in inputs}


def joined(tensors: Answer) -> Tensor:
    """One tensor as it is, several by name flattened (N, values)."""
    if isinstance(tensors, Tensor):
        return tensors
    if len(tensors) == 1:
        return next(iter(tensors.values()))
    return torch.cat([part.flatten(1) for part in tensors.values()], dim=1)


def together(answers: Sequence[Answer]) -> Answer:
    """The answers of batches as one of all rows."""
    tensors = [a for a in answers if isinstance(a, Tensor)]
    if tensors:
        return torch.cat(tensors)
    named = [a for a in answers if not isinstance(a, Tensor)]
    return {name: torch.cat([a[name] for a in named]) for name in named[0]}


def by_name(model: object, augment: Augment | None) -> Augment | None:
    """`augment`, which is given a dict where the model has several inputs, on joined rows."""
    inputs: Shapes = getattr(model, "inputs", {})
    if augment is None or len(inputs) < 2:
        return augment

    def on_rows(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        changed, labels = augment(parted(x, inputs), y, generator)
        return joined({name: changed[name] for name in inputs}), labels

    return on_rows

"""A saved model must answer as the one it was made of: read back and compared before it counts."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.calibration import routed
from edgeq.nn.model import Model
from edgeq.nn.rows import joined

ROWS = 6  # of the calibration set; a large model takes its time
SEEDED = 2  # for each spread
SPREADS = (0.05, 1.0, 20.0)
TOLERANCE = 1e-5  # of the largest answer: the same arithmetic, perhaps in another memory layout
ADVICE = (
    "hooks, overridden methods and attributes that were changed after a layer was built are not "
    "saved: put what they do into layers, and build those with the values they need"
)


def check_answers(model: Model, again: Model) -> None:
    """Raises BadInput when `again`, which was read back, answers otherwise than `model`."""
    x = _rows(model)
    wanted, got = _answers(_as_saved(model), x), _answers(again, x)
    if wanted.shape != got.shape:
        raise BadInput(
            f"this model cannot be saved: it answers with shape {tuple(wanted.shape)}, its file "
            f"with {tuple(got.shape)}; {ADVICE}"
        )
    off = (wanted - got).abs().flatten(1).amax(1) > TOLERANCE * wanted.abs().max()
    if bool(off.any()) or bool(wanted.isnan().any()):
        raise BadInput(
            "this model cannot be saved: read back, its file answers otherwise on "
            f"{int(off.sum())} of {len(x)} rows; {ADVICE}"
        )


def _rows(model: Model) -> Tensor:
    """Rows of the calibration set, and seeded ones about as large, smaller and larger."""
    known = model.calibration if model.calibration is not None else np.ones(1, np.float32)
    size = float(np.abs(known).max()) / 3
    generator = torch.Generator().manual_seed(0)
    shape = (SEEDED, *model.input_shape)
    rows = [torch.randn(shape, generator=generator) * size * spread for spread in SPREADS]
    if model.calibration is not None:
        rows.append(torch.from_numpy(model.calibration[:ROWS]))
    return torch.cat(rows)


def _as_saved(model: Model) -> nn.Module:
    """The model itself, or its float32 copy on the CPU where it is anything else."""
    tensors = [*model.body.parameters(), *model.body.buffers()]
    floats = [t for t in tensors if t.is_floating_point()]
    plain = all(t.dtype == torch.float32 and t.is_contiguous() for t in floats)
    if plain and all(t.device.type == "cpu" for t in tensors):
        return model
    try:
        twin = copy.deepcopy(model).cpu().float()
    except (RuntimeError, TypeError) as error:
        raise BadInput(
            f"this model cannot be saved: no float32 copy of it can be made ({error}); "
            "convert it first: model.float().cpu()"
        ) from error
    for tensor in [*twin.parameters(), *twin.buffers()]:
        tensor.data = tensor.data.contiguous()
    return twin


@torch.no_grad()
def _answers(model: nn.Module, x: Tensor) -> Tensor:
    with _evaluating(model):
        try:
            return torch.as_tensor(joined(model(x))).double()
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
            raise BadInput(
                f"this model cannot be saved: it cannot answer an input of its own shape "
                f"{tuple(x.shape[1:])} ({type(error).__name__}: {str(error)[:200]})"
            ) from error


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while; modes and the mixtures' last routes are as before after it."""
    modes = [(m, m.training) for m in model.modules()]
    routes = [(m, "last_routing", m.last_routing) for m in routed(model)]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for part, name, route in routes:
            setattr(part, name, route)

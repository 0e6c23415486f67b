"""What a calibration set settles inside a trained module: static int8 ranges and curiosity."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from edgeq.errors import BadInput
from edgeq.nn.cascade import Cascade
from edgeq.nn.layers import QuantLayer
from edgeq.nn.mixture import Mixture

BATCH = 256


def run_in_batches(module: nn.Module, x: Tensor) -> None:
    """Evaluation forwards over `x`, for their side effects on observers."""
    module.eval()
    with torch.no_grad():
        for start in range(0, len(x), BATCH):
            module(x[start : start + BATCH])


def mixtures(module: nn.Module) -> list[Mixture]:
    """Every mixture inside `module`, in definition order."""
    return [m for m in module.modules() if isinstance(m, Mixture)]


def cascades_of(module: nn.Module) -> list[Cascade]:
    """Every cascade inside `module`, in definition order."""
    return [m for m in module.modules() if isinstance(m, Cascade)]


def routed(module: nn.Module) -> list[Mixture | Cascade]:
    """Every mixture and cascade inside `module`, in definition order."""
    return [m for m in module.modules() if isinstance(m, Mixture | Cascade)]


@contextmanager
def _every_expert_runs(module: nn.Module) -> Iterator[None]:
    """Send all samples through all experts: a range must not depend on the present route."""
    found, cascades = mixtures(module), cascades_of(module)
    before = [m.top_k for m in found]
    for mixture in found:
        mixture.top_k = len(mixture.experts)
    for cascade in cascades:
        cascade.every_stage = True
    try:
        yield
    finally:
        for cascade in cascades:
            cascade.every_stage = False
        for mixture, top_k in zip(found, before, strict=True):
            mixture.top_k = top_k


def calibrate_ptq(module: nn.Module, x: Tensor) -> int:
    """Set the activation ranges of every "ptq" layer from `x`; returns how many layers.

    Float ranges: all ptq layers are observed in one pass, before any of them rounds.
    """
    layers = [m for m in module.modules() if isinstance(m, QuantLayer) and m.kind == "ptq"]
    ranges: dict[int, tuple[Tensor, Tensor]] = {}

    def watch(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        low, high = torch.aminmax(inputs[0])
        old_low, old_high = ranges.get(id(layer), (low, high))
        ranges[id(layer)] = torch.minimum(low, old_low), torch.maximum(high, old_high)

    for layer in layers:
        layer.act.clear()
    hooks = [layer.register_forward_pre_hook(watch) for layer in layers]
    try:
        with _every_expert_runs(module):
            run_in_batches(module, x)
    finally:
        for hook in hooks:
            hook.remove()
    for layer in layers:
        if id(layer) in ranges:
            layer.act.widen(torch.stack(ranges[id(layer)]))
    return len(layers)


def freeze_curiosity(module: nn.Module, x: Tensor) -> int:
    """Freeze u_min, u_max and the threshold of every mixture from model inputs `x`.

    Returns how many of the samples the rules send elsewhere than "off" would.
    """
    moved = 0
    for mixture in mixtures(module):
        moved += mixture.freeze_curiosity(_seen_by(mixture.router, module, x, "mixture's router"))
    return moved


def freeze_thresholds(module: nn.Module, x: Tensor) -> int:
    """Settle the thresholds of every cascade from model inputs `x`.

    Returns how many of the samples go beyond a cascade's first expert.
    """
    found = cascades_of(module)
    return sum(c.freeze_thresholds(_seen_by(c, module, x, "cascade")) for c in found)


def _seen_by(part: nn.Module, module: nn.Module, x: Tensor, name: str) -> Tensor:
    """What `part` is given when `module` runs `x`."""
    seen: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0])

    hook = part.register_forward_pre_hook(keep)
    try:
        run_in_batches(module, x)
    finally:
        hook.remove()
    if not seen:
        raise BadInput(f"the {name} never ran on the calibration set")
    return torch.cat(seen)


def calibrate(module: nn.Module, x: Tensor) -> int:
    """Static ranges first (they move the uncertainty), then curiosity and thresholds.

    Returns how many samples leave the route of a mixture without curiosity, or go beyond the first
    expert of a cascade.
    """
    if len(x) == 0:
        raise BadInput("the calibration set is empty")
    calibrate_ptq(module, x)
    return freeze_curiosity(module, x) + freeze_thresholds(module, x)

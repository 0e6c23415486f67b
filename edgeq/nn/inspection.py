"""What a float model's layers carry: ranges, tails, outlier channels, dead ones, accumulators.

The kurtosis of the inputs and the share of their energy in the top 1 % of channels tell activation
outliers (arXiv 2603.04308): one step for all channels must reach the largest, and the others lose.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edgeq.nn.equalization import pairs_of
from edgeq.nn.graph_body import GraphBody, GraphLayer
from edgeq.nn.graph_ops import run_op
from edgeq.nn.post_training import after_each, in_float
from edgeq.nn.sensitivity import Watch, Weighed
from edgeq.nn.weight_kinds import quantize_weight, weight_kind

TOP_SHARE = 0.01  # of the channels, at least one
BOUND = 255.0  # the most that an int8 code is from its zero point


@dataclass(frozen=True)
class Channel:
    """One channel of a layer's `side`, "input" or "output", over all rows and places."""

    layer: str
    side: str
    channel: int
    low: float
    high: float
    mean_square: float
    kurtosis: float
    dead: bool


@dataclass(frozen=True)
class Inspected:
    """A layer. `top_share`: of its input's energy in the top 1 % channels (at least one), `even`
    what that were if all carried alike; `saturated`: inputs beyond the chosen range, a share.

    `accumulator_bits`: of the largest sum that the rows made of int8 codes, sign included;
    `bound_bits`: of the largest that any input can make. `equalisable`: whether a layer before it
    can take its channels' spread.
    """

    name: str
    op: str
    low: float
    high: float
    kurtosis: float
    top_share: float
    even: float
    saturated: float
    weight_low: float
    weight_high: float
    weight_kurtosis: float
    weight_spread: float
    outputs: int
    dead: int
    accumulator_bits: int
    bound_bits: int
    equalisable: bool
    channels: tuple[Channel, ...]


@torch.no_grad()
def inspected(of: Weighed, watch: Watch | None = None) -> tuple[Inspected, ...]:
    """Every layer with weights, on the rows of `of`, the model in float."""
    behind = {second.step.name for _, second in pairs_of(of.body)}
    rectified = _before_relu(of.body)
    found: dict[str, Inspected] = {}

    def look(layer: GraphLayer, x: Tensor, out: Tensor) -> None:
        if watch:
            watch(len(found), len(of.layers), layer.step.name)
        name = layer.step.name
        seen = out.clamp_min(0) if name in rectified else out
        found[name] = _looked(layer, x, seen, name in behind)

    with in_float(of.body), after_each(of.body, look):
        of.body(of.rows)
    if watch:
        watch(len(of.layers), len(of.layers), "")
    return tuple(found.values())


def _before_relu(body: GraphBody) -> set[str]:
    """Layers whose output a ReLU alone reads: a channel that is never above 0 says nothing."""
    readers: dict[str, list[str]] = {name: ["output"] for name in body.plan.outputs}
    for step in body.plan.steps:
        relu = step.op == "Relu"
        for name in step.inputs:
            readers.setdefault(name, []).append("relu" if relu else step.op)
    return {n for n, layer in body.layers.items() if readers.get(layer.step.outputs[0]) == ["relu"]}


def _looked(layer: GraphLayer, x: Tensor, out: Tensor, equalisable: bool) -> Inspected:
    name = layer.step.name
    inputs, outputs = _channels(name, "input", x), _channels(name, "output", out)
    energy = sorted((c.mean_square for c in inputs), reverse=True)
    top = max(1, math.ceil(TOP_SHARE * len(energy)))
    weight = layer.weight.detach()
    reach = weight.flatten(1).abs().amax(1)
    low, high = float(layer.act.low), float(layer.act.high)
    used, bound = _accumulators(layer, x)
    return Inspected(
        name=name,
        op=layer.step.op,
        low=float(x.min()),
        high=float(x.max()),
        kurtosis=kurtosis(x),
        top_share=sum(energy[:top]) / max(sum(energy), 1e-30),
        even=top / len(energy),
        saturated=float(((x < low) | (x > high)).double().mean()) if high > low else 0.0,
        weight_low=float(weight.min()),
        weight_high=float(weight.max()),
        weight_kurtosis=kurtosis(weight),
        weight_spread=float(reach.max() / reach.median().clamp_min(1e-12)),
        outputs=len(outputs),
        dead=sum(c.dead for c in outputs),
        accumulator_bits=used,
        bound_bits=bound,
        equalisable=equalisable,
        channels=(*inputs, *outputs),
    )


def kurtosis(x: Tensor) -> float:
    """The fourth moment over the squared variance: 3 of a normal distribution, 0 of a constant."""
    values = x.detach().double().flatten()
    off = values - values.mean()
    variance = float(off.square().mean())
    return float(off.pow(4).mean()) / variance**2 if variance > 1e-24 else 0.0


def _channels(layer: str, side: str, x: Tensor) -> tuple[Channel, ...]:
    """Of the last axis, channels or features. Dead: the same value in every row and place."""
    rows = x.detach().double().reshape(-1, x.shape[-1])
    low, high = rows.amin(0), rows.amax(0)
    off = rows - rows.mean(0)
    variance = off.square().mean(0)
    fourth = off.pow(4).mean(0) / variance.square().clamp_min(1e-48)
    made = zip(
        low.tolist(),
        high.tolist(),
        rows.square().mean(0).tolist(),
        torch.where(variance > 1e-24, fourth, torch.zeros_like(fourth)).tolist(),
        (high == low).tolist(),
        strict=True,
    )
    return tuple(Channel(layer, side, at, *values) for at, values in enumerate(made))


def _accumulators(layer: GraphLayer, x: Tensor) -> tuple[int, int]:
    """Bits of the largest sum of int8 codes that the rows make, and that any input can make."""
    codes, _ = quantize_weight(layer.weight, weight_kind("int8"))
    bound = float(codes.double().abs().flatten(1).sum(1).max()) * BOUND
    if not layer.act.high > layer.act.low:
        return 1, bits(bound)
    values: Mapping[str, Tensor] = {
        "weight": codes.double().movedim(0, layer.axis),
        "bias": torch.zeros(len(codes), dtype=torch.float64),
    }
    plain = replace(layer.step.attrs, activation="none")
    made = run_op(layer.step.op, plain, (layer.act.codes(x),), values)
    return bits(float(made.abs().max())), bits(bound)


def bits(largest: float) -> int:
    """Of a signed number of that magnitude.

    >>> bits(127), bits(128), bits(0)
    (8, 9, 1)
    """
    return int(largest).bit_length() + 1

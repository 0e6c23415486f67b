"""Cheap experts and what stands beside them: the cascades whose signals heads.py ranks."""

import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from answers import DROPOUT, PASSES, Cell, graph_of

from edgeq import nn
from edgeq.arrays import channels_last
from edgeq.ops.op import Array
from edgeq.ops.signals import SIGNALS
from edgeq.reference import quantize_rows, run_all_stages

EPOCHS, LR, ROUTER_HIDDEN, MEMBERS = 10, 6e-3, 16, 8


@dataclass(frozen=True)
class Cheap:
    """A trained expert and the one that follows it, behind what they share.

    `channels` of what they read, whose means a router sees; 0 where those say nothing.
    """

    experts: Sequence[torch.nn.Module]
    trunk: torch.nn.Module | None = None
    channels: int = 0


@dataclass(frozen=True)
class Lesson:
    """What a cell's heads learn from: rows (x, y), `calibration` rows, other words of `nn.fit`."""

    shape: tuple[int, ...]
    x: Array
    y: Array
    calibration: Array
    fit: Mapping[str, Any]
    seed: int

    def teach(self, model: nn.Model, frozen: Sequence[torch.nn.Module]) -> None:
        """`frozen` parts stand still."""
        plan = {"epochs": EPOCHS, "lr": LR, "seed": self.seed, "progress": False}
        nn.fit(model, (self.x, self.y), freeze=frozen, **plan, **self.fit)


def exit_of(network: nn.Model, cut: int, hidden: int, lesson: Lesson) -> Cheap:
    """A small head behind the first `cut` layers of a finished network, trained; then the rest."""
    layers = list(network.body)
    trunk, rest = nn.Sequential(*layers[:cut]), nn.Sequential(*layers[cut:])
    channels, classes = _channels(trunk, lesson), network.classes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lesson.seed)
        narrow, last = nn.Linear(channels, hidden), nn.Linear(hidden, classes)
        head = nn.Sequential(nn.GlobalAvgPool(), narrow, nn.ReLU(), last)
    model = nn.Model(nn.Cascade([head, rest], trunk=trunk), lesson.shape)
    lesson.teach(model, [trunk, rest])
    return Cheap([head, rest], trunk, channels)


@torch.no_grad()
def _channels(trunk: torch.nn.Module, lesson: Lesson) -> int:
    return int(trunk.eval()(torch.from_numpy(lesson.x[:1])).shape[1])


def cascade(signal: str, cheap: Cheap, lesson: Lesson) -> nn.Model:
    """The same experts under one signal; what it reads beside them is trained."""
    own = [copy.deepcopy(expert) for expert in cheap.experts]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lesson.seed)
        heads: list[torch.nn.Module] | None = None
        if signal == "router":
            hidden = (ROUTER_HIDDEN,)
            heads = [nn.BayesianRouter(cheap.channels, 2, hidden, DROPOUT, PASSES, lesson.seed)]
        if signal == "ensemble":
            last = [m for m in own[0].modules() if isinstance(m, nn.Linear)][-1]
            heads = [nn.Linear(last.in_features, MEMBERS * last.out_features, "int8")]
    shared = None if cheap.trunk is None else copy.deepcopy(cheap.trunk)
    options = {"passes": PASSES, "dropout": DROPOUT, "seed": lesson.seed}
    body = nn.Cascade(own, signal, trunk=shared, heads=heads, **options)
    model = nn.Model(body, lesson.shape, calibration=lesson.calibration)
    if heads:
        lesson.teach(model, [*own, *([] if shared is None else [shared])])
    model.calibrate()
    return model


def signals_of(named: Mapping[str, Cheap], lesson: Lesson, x: Array, y: Array) -> Cell:
    """Of rows x (N, ...) with labels y: every signal as the device has it, and which are `wrong`.

    A router has none where the experts' input says nothing.
    """
    told: Cell = {}
    for name, cheap in named.items():
        for signal in SIGNALS:
            if signal == "router" and not cheap.channels:
                continue
            graph = graph_of(cascade(signal, cheap, lesson))
            stages = run_all_stages(graph, quantize_rows(graph, channels_last(x)))
            told[f"{name}/{signal}"] = stages.signals[:, 0]
            told[f"{name}/wrong"] = stages.outputs[:, 0].argmax(1) != y
            print(f"heads: {name}, {signal}", file=sys.stderr, flush=True)
    return told

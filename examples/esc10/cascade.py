"""Trains the ESC-10 cascade on folds 1 to 4: a half-width int8 network, the full one if unsure.

Which network comes first, and how many clips go on from it, is the choice of ../cascades for this
test fold, made on clips of the training folds that no training saw.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import single
import torch
import train
from features import Clips

from edgeq import nn as eq
from edgeq.arrays import channels_last
from edgeq.comparing.cascades import limit_for
from edgeq.errors import BadInput
from edgeq.ir import Graph
from edgeq.ops.op import quant_of
from edgeq.reference import quantize_rows, run_all_stages
from edgeq.sources import Trained as Source

STUDY = Path(__file__).parents[1] / "cascades" / "esc10.json"
NAMES = ("half", "full")
LAST = "int8"


@dataclass(frozen=True)
class Trained:
    """`model`, calibrated and with its threshold; `held`: clips that no training saw.

    `facts` as plain data: how it was made.
    """

    model: eq.Model
    held: Clips
    facts: dict[str, Any]


def chosen() -> tuple[float, str, float]:
    """(width, weight kind, share that goes on) of the first network, by the study."""
    found = json.loads(STUDY.read_text())["chosen"][str(train.TEST_FOLD)]
    size, _, kind = found["cheap"].partition(" ")
    widths = [width for width, name in single.WIDTHS.items() if name == size]
    if not widths:
        raise BadInput(f"the study chose {found['cheap']!r}; this example narrows networks only")
    return widths[0], kind, found["share"]


def train_cascade(clips: Clips, seed: int) -> Trained:
    """Deterministic in `seed`, on one thread; fold 5 is not looked at."""
    threads, start = torch.get_num_threads(), os.times()
    torch.set_num_threads(1)
    try:
        learn, held, _ = single.parts(clips, train.TEST_FOLD, seed)
        width, kind, share = chosen()
        taught_by, seen = single.teacher(learn, seed), single.views(learn, seed)
        floating = single.narrower(width, taught_by, seen, seed)
        first = eq.narrowed(single.network(kind, seed), width, seed=seed)
        last = single.network(LAST, seed)
        single.quantised(last, taught_by, taught_by, learn, seen, seed)
        single.quantised(first, floating, taught_by, learn, seen, seed)
    finally:
        torch.set_num_threads(threads)
    model = mixed(first, last, held, share)
    now = os.times()
    facts = {
        "seed": seed,
        "networks": [f"{single.WIDTHS[width]} {kind}", f"{single.WIDTHS[1.0]} {LAST}"],
        "share": share,
        "held_clips": len(held.y),
        "held_recordings": len(np.unique(held.source)),
        "train_cpu_seconds": round(now.user + now.system - start.user - start.system, 1),
        "calibration_clips": list(train.first_of_each(learn, train.CALIBRATION_PER_CLASS).names),
    }
    return Trained(model, held, facts)


def mixed(first: eq.Model, last: eq.Model, held: Clips, share: float) -> eq.Model:
    """The cascade that sends the share of the held-out clips on, by the device's own gap."""
    graph = _integers(eq.mixed([first, last], names=NAMES, name="esc10"))
    signals = run_all_stages(graph, quantize_rows(graph, channels_last(held.x))).signals
    scale = quant_of(graph.tensors[graph.outputs[0]]).per_tensor
    limit = limit_for(signals[:, 0], share)
    body = eq.Cascade([first, last], thresholds=[limit * scale], names=NAMES)
    made = eq.Model(body, first.input_shape, first.class_names, last.calibration, name="esc10")
    made.calibrate()
    return made


def _integers(model: eq.Model) -> Graph:
    source = Source("", model)
    return source.quantized(source.rows(None), "mse", frozenset(), None).graph

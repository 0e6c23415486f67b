"""The ESC-10 network that hears: nn.LogMel in front, then a depthwise-separable int8 network.

It learns on what the front end makes of the clips in floats (40 mel bands of 512 samples every
32 ms); the front end has nothing to learn, so that it is computed once and put before the rest.
Folds 1 to 4 train; nothing is chosen by fold 5.
"""

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import train
from features import CENTRE, CLASS_NAMES, CLIP_SAMPLES, FLOOR, SAMPLE_RATE_HZ, SPREAD, Clips, Floats
from torch import Tensor

from edgeq import nn as eq

WINDOW = HOP = FFT = 512
BANDS, LOW_HZ = 40, 50.0
FRAMES = (CLIP_SAMPLES - WINDOW) // HOP + 1
HEARD, SEEN = (1, CLIP_SAMPLES, 1), (1, FRAMES, BANDS)
CHANNELS, STRIDES, STEM_CHANNELS = (32, 64, 96, 128), (2, 1, 2, 1), 16
DROPOUT = 0.1
FLOAT_EPOCHS, FLOAT_LR = 60, 6e-3
QUANTISED_EPOCHS, QUANTISED_LR = 12, 2e-3


@dataclass(frozen=True)
class Trained:
    """`model` takes features, and carries some to be calibrated on; `facts`: how it was made."""

    model: eq.Model
    facts: dict[str, Any]


def front_end() -> eq.LogMel:
    """16-bit sound (1, samples, 1) to a map (1, frames, bands) of about zero mean."""
    scale = {"floor": FLOOR, "mean": CENTRE, "std": SPREAD}
    return eq.LogMel(SAMPLE_RATE_HZ, WINDOW, HOP, FFT, BANDS, LOW_HZ, **scale)


def network(seed: int) -> eq.Model:
    """From features; its file needs no sound."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = eq.Sequential(
            *eq.depthwise_separable(CHANNELS, STRIDES, STEM_CHANNELS),
            eq.Dropout(DROPOUT),
            eq.Linear(CHANNELS[-1], len(CLASS_NAMES), "int8"),
        )
        return eq.Model(body, SEEN, CLASS_NAMES, name="esc10")


def hearing(model: eq.Model, sound: Floats) -> eq.Model:
    """The same network behind the front end, to be calibrated on `sound` (clip, *HEARD)."""
    body = eq.Sequential(front_end(), *model.body)
    return eq.Model(body, HEARD, CLASS_NAMES, sound, name="esc10_raw")


def as_heard(clips: Clips) -> Clips:
    """Clips of sound (clip, *HEARD) as their features in floats (clip, *SEEN)."""
    ears = front_end()
    return replace(
        clips, x=np.concatenate([ears(torch.from_numpy(x[None])).numpy() for x in clips.x])
    )


def train_ears(clips: Clips, seed: int) -> Trained:
    """From features; deterministic in `seed`, on one thread; fold 5 is not looked at."""
    threads, start = torch.get_num_threads(), os.times()
    torch.set_num_threads(1)
    try:
        learn = clips.rows(clips.fold != train.TEST_FOLD)
        floating, model = train.as_float(network(seed)), network(seed)
        _fit(floating, learn, FLOAT_EPOCHS, FLOAT_LR, seed)
        model.load_state_dict(floating.state_dict())
        _fit(model, learn, QUANTISED_EPOCHS, QUANTISED_LR, seed + 1)
        few = train.first_of_each(learn, train.CALIBRATION_PER_CLASS)
        model.calibrate(few.x)
    finally:
        torch.set_num_threads(threads)
    now = os.times()
    seconds = round(now.user + now.system - start.user - start.system, 1)
    facts = {"seed": seed, "clips": len(learn.y), "train_cpu_seconds": seconds}
    return Trained(model, {**facts, "calibration_clips": list(few.names)})


def _fit(model: eq.Model, learn: Clips, epochs: int, lr: float, seed: int) -> None:
    how = {"batch_size": train.BATCH, "label_smoothing": train.SMOOTHING, "progress": False}
    eq.fit(model, (learn.x, learn.y), epochs=epochs, lr=lr, seed=seed, augment=_augment, **how)


def _augment(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """As the other networks', whose maps have bands before frames."""
    made, mixed = train.augment(x.mT, y, generator)
    return made.mT.contiguous(), mixed

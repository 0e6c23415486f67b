"""Single ESC-10 networks of several sizes: the widest learns the labels, and teaches the others.

The stages of `cascade.py`, and the front of single networks that ../cascades holds cascades to.
"""

from typing import Any

import numpy as np
import torch
import train
from features import CLASS_NAMES, SHAPE, Clips, Floats

from edgeq import nn as eq

WIDTHS = {1.0: "full", 0.5: "half", 0.25: "quarter"}
HELD_PER_CLASS = 7  # of 32: more than a fifth of the training clips
FLOAT_EPOCHS = 30
VIEWS, VIEW_EPOCHS, QUANTISED_VIEWS = 12, 3, 8
FLOAT_LR, QUANTISED_LR = 6e-3, 2e-3


def name_of(width: float, kind: str) -> str:
    """Such as "half ternary"."""
    return f"{WIDTHS[width]} {kind}"


def network(kind: str, seed: int) -> eq.Model:
    """The mixture's trunk and one expert whose 1x1 convolutions are of that kind."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = eq.Sequential(train.trunk(), train.expert(kind))
        return eq.Model(body, SHAPE, CLASS_NAMES, name="esc10")


def parts(clips: Clips, fold: int, seed: int) -> tuple[Clips, Clips, Clips]:
    """(learn, held, test) clips: no original recording is in two of them."""
    rng = np.random.default_rng([fold, seed])
    held = np.zeros(len(clips.y), bool)
    training = clips.fold != fold
    for label in range(len(CLASS_NAMES)):
        mine = (clips.y == label) & training
        for source in rng.permutation(np.unique(clips.source[mine])):
            if (held & mine).sum() >= HELD_PER_CLASS:
                break
            held |= (clips.source == source) & training
    return clips.rows(training & ~held), clips.rows(held), clips.rows(~training)


def views(clips: Clips, seed: int) -> Floats:
    """VIEWS augmented copies of every clip, copy after copy."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(clips.x), torch.from_numpy(clips.y)
    return np.concatenate([train.augment(x, y, generator)[0].numpy() for _ in range(VIEWS)])


def teacher(learn: Clips, seed: int) -> eq.Model:
    """The full-width float network, from the labels."""
    made = train.as_float(network("int8", seed))
    labels = {"label_smoothing": train.SMOOTHING, "augment": train.augment}
    eq.fit(made, (learn.x, learn.y), **labels, **plan(FLOAT_EPOCHS, FLOAT_LR, seed))
    return made


def narrower(width: float, taught_by: eq.Model, seen: Floats, seed: int) -> eq.Model:
    """A float network of that width, taught the teacher's answers to `seen`."""
    made = train.as_float(eq.narrowed(network("int8", seed), width, seed=seed))
    eq.distill(made, taught_by, seen, hard=0.0, **plan(VIEW_EPOCHS, FLOAT_LR, seed))
    return made


def quantised(
    model: eq.Model,
    floating: eq.Model,
    taught_by: eq.Model,
    learn: Clips,
    seen: Floats,
    seed: int,
) -> eq.Model:
    """`model` with the weights of `floating`, taught on in its own precision, and calibrated."""
    model.load_state_dict(floating.state_dict())
    few = seen[: QUANTISED_VIEWS * len(learn.y)]
    eq.distill(model, taught_by, few, hard=0.0, **plan(1, QUANTISED_LR, seed))
    model.calibrate(train.first_of_each(learn, train.CALIBRATION_PER_CLASS).x)
    return model


def plan(epochs: int, lr: float, seed: int) -> dict[str, Any]:
    """What every training here has in common."""
    return {
        "epochs": epochs,
        "lr": lr,
        "seed": seed,
        "batch_size": train.BATCH,
        "progress": False,
    }

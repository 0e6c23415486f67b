"""Trains the ESC-10 mixture on folds 1 to 4; fold 5 is only ever scored.

First one float network, then its trunk and three copies of its tail with quantised arithmetic in
the forward pass, one copy for each precision; last the router, on experts that stand still.
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from features import CLASS_NAMES, SHAPE, Clips
from torch import Tensor, nn

from edgeq import nn as eq

SEED = 0
TEST_FOLD = 5
VALIDATION_PER_CLASS = 4
CALIBRATION_PER_CLASS = 3
KINDS = ("ternary", "int4", "int8")
CHANNELS, STRIDES = (32, 64, 64), (2, 1, 1)
EXPERT_CHANNELS, EXPERT_STRIDES = (96, 128, 128), (2, 1, 1)
STEM_CHANNELS = 16
FLOAT_EPOCHS, FLOAT_LR = 30, 6e-3
QUANTISED_EPOCHS, QUANTISED_LR = 8, 2e-3
PRICE = 0.15  # what the most precise expert must gain in cross entropy over the least precise
RULE = "escalation"  # the fifth of the clips whose route is least sure goes to 8 bits
BATCH = 32
MIXUP, SMOOTHING, MASKED_BANDS, MASKED_FRAMES = 0.3, 0.1, 12, 12


@dataclass(frozen=True)
class Trained:
    """`model` with its calibration set; accuracies on fold 5; seconds of one core.

    `user_seconds` leaves out the kernel's share, which tells how a machine hands out memory.
    """

    model: eq.Model
    float_accuracy: float
    accuracy: float
    validation_accuracy: float
    route_shares: dict[str, float]
    cpu_seconds: float
    user_seconds: float
    calibration_clips: tuple[str, ...]


def build(seed: int = 0) -> eq.Model:
    """An int8 depthwise-separable trunk, then [ternary, 4-bit, 8-bit] experts on its maps."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        router = eq.BayesianRouter(CHANNELS[-1], len(KINDS), hidden=(32, 16), seed=seed)
        mixture = eq.Mixture([expert(kind) for kind in KINDS], router, KINDS, rule=RULE)
        return _model(eq.TrunkMixture(trunk(), mixture))


def build_single(seed: int = 0) -> eq.Model:
    """The trunk with one expert and no router."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _model(eq.Sequential(trunk(), expert("int8")))


def _model(body: nn.Module) -> eq.Model:
    return eq.Model(body, SHAPE, CLASS_NAMES, name="esc10")


def trunk() -> eq.Sequential:
    """64 channels of 16x20 out of 64 bands and 77 frames."""
    return eq.depthwise_separable(CHANNELS, STRIDES, STEM_CHANNELS, pool=False)


def expert(kind: str) -> eq.Sequential:
    """Separable blocks whose 1x1 convolutions are of that kind, and an int8 head."""
    layers, width = list[nn.Module](), CHANNELS[-1]
    for channels, stride in zip(EXPERT_CHANNELS, EXPERT_STRIDES, strict=True):
        layers += eq.separable_block(width, channels, kind, stride)
        width = channels
    head = eq.Linear(width, len(CLASS_NAMES), "int8")
    return eq.Sequential(*layers, eq.GlobalAvgPool(), eq.Dropout(0.1), head)


def as_float(model: eq.Model) -> eq.Model:
    """The same architecture and parameters with float weights and activations throughout."""
    for layer in model.modules():
        if isinstance(layer, eq.QuantLayer):
            layer.kind = "ptq"  # float until it is calibrated, and it never is
            layer.act.enabled = False
    return model


def train(clips: Clips, seed: int = 0, progress: bool = True) -> Trained:
    """Float training, quantisation-aware fine-tuning, calibration; deterministic in `seed`."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = os.times()
    try:
        learn, check = train_and_validation(clips, seed)
        test = clips.rows(clips.fold == TEST_FOLD)
        floating = as_float(build_single(seed))
        _fit(floating, learn, check, FLOAT_EPOCHS, FLOAT_LR, seed, progress)
        model = with_weights_of(build(seed), floating)
        history = _fit(model, learn, check, QUANTISED_EPOCHS, QUANTISED_LR, seed + 1, progress)
        eq.fit_router(model, (learn.x, learn.y), price=PRICE, seed=seed, augment=augment)
        calibration = first_of_each(learn, CALIBRATION_PER_CLASS)
        model.calibrate(calibration.x)
        now = os.times()
        user = now.user - start.user
        seconds = user + now.system - start.system
        accuracy, shares = score(model, test)
        float_accuracy, _ = score(floating, test)
        return Trained(
            model,
            float_accuracy,
            accuracy,
            history.best_accuracy,
            shares,
            seconds,
            user,
            calibration.names,
        )
    finally:
        torch.set_num_threads(threads)


def with_weights_of(model: eq.Model, single: eq.Model) -> eq.Model:
    """`model` with the trunk of `single` and its expert in the place of every expert."""
    shared, alone = single.body[0].state_dict(), single.body[1].state_dict()
    model.body.trunk.load_state_dict(shared)
    for one in model.body.mixture.experts:
        one.load_state_dict(alone)
    return model


def _fit(
    model: eq.Model, learn: Clips, check: Clips, epochs: int, lr: float, seed: int, progress: bool
) -> eq.History:
    return eq.fit(
        model,
        (learn.x, learn.y),
        (check.x, check.y),
        epochs=epochs,
        lr=lr,
        batch_size=BATCH,
        label_smoothing=SMOOTHING,
        seed=seed,
        augment=augment,
        progress=progress,
    )


def score(model: eq.Model, clips: Clips) -> tuple[float, dict[str, float]]:
    """(accuracy, share of the clips each expert answered, {} without a mixture) in PyTorch."""
    logits, route = model.predict(clips.x)
    accuracy = float((logits.argmax(axis=1) == clips.y).mean())
    if route is None:
        return accuracy, {}
    shares = np.bincount(route, minlength=len(KINDS)) / len(route)
    return accuracy, dict(zip(KINDS, shares.tolist(), strict=True))


def train_and_validation(clips: Clips, seed: int) -> tuple[Clips, Clips]:
    """Folds 1 to 4 in two parts that share no original recording; fold 5 is in neither."""
    rng = np.random.default_rng(seed)
    held = np.zeros(len(clips.y), bool)
    for label in range(len(CLASS_NAMES)):
        mine = (clips.y == label) & (clips.fold != TEST_FOLD)
        for source in rng.permutation(np.unique(clips.source[mine])):
            if (held & mine).sum() >= VALIDATION_PER_CLASS:
                break
            held |= (clips.source == source) & (clips.fold != TEST_FOLD)
    return clips.rows(~held & (clips.fold != TEST_FOLD)), clips.rows(held)


def first_of_each(clips: Clips, count: int) -> Clips:
    """`count` clips of every class, spread evenly over the order of the file names."""
    keep = np.zeros(len(clips.y), bool)
    for label in range(len(CLASS_NAMES)):
        mine = np.flatnonzero(clips.y == label)
        keep[mine[np.linspace(0, len(mine) - 1, count).round().astype(int)]] = True
    return clips.rows(keep)


def augment(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Time roll, one band and one frame mask a clip, a gain, and mixup; y becomes (N, C)."""
    rolled = _roll(x, generator)
    gain = torch.rand(len(x), 1, 1, 1, generator=generator) * 0.6 - 0.3
    masked = _mask(_mask(rolled + gain, 2, MASKED_BANDS, generator), 3, MASKED_FRAMES, generator)
    share = MIXUP * torch.rand(len(x), generator=generator)
    other = torch.randperm(len(x), generator=generator)
    one_hot = nn.functional.one_hot(y, len(CLASS_NAMES)).float()
    mixed = torch.lerp(masked, masked[other], share[:, None, None, None])
    return mixed, torch.lerp(one_hot, one_hot[other], share[:, None])


def _roll(x: Tensor, generator: torch.Generator) -> Tensor:
    frames = x.shape[3]
    shift = torch.randint(frames, (len(x), 1), generator=generator)
    index = (torch.arange(frames) + shift) % frames
    return x.gather(3, index[:, None, None, :].expand(x.shape))


def _mask(x: Tensor, axis: int, most: int, generator: torch.Generator) -> Tensor:
    """Up to `most` places in a row of `axis` set to 0, elsewhere in every clip."""
    size = x.shape[axis]
    width = torch.randint(most + 1, (len(x), 1), generator=generator)
    first = (torch.rand(len(x), 1, generator=generator) * (size - width)).long()
    place = torch.arange(size)
    hidden = (place >= first) & (place < first + width)
    shape = [len(x), 1, 1, 1]
    shape[axis] = size
    return x.masked_fill(hidden.reshape(shape), 0.0)


def describe(trained: Trained) -> dict[str, Any]:
    """The numbers of a training run as plain data."""
    return {
        "float_accuracy": trained.float_accuracy,
        "pytorch_accuracy": trained.accuracy,
        "validation_accuracy": trained.validation_accuracy,
        "pytorch_route_shares": trained.route_shares,
        "train_cpu_seconds": round(trained.cpu_seconds, 1),
        "train_user_seconds": round(trained.user_seconds, 1),
        "calibration_clips": list(trained.calibration_clips),
    }

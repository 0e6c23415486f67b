"""Digits: a small convolutional net, a split and weights a seed."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from edgeq import nn
from edgeq.nn.sensitivity import Weighed, weighed

NAME, CLUSTERS = "digits", "images"
KINDS = ("ternary", "int2", "int3", "int4", "int8")
EPOCHS = (12, 6)  # of the float net, of a quantised one


def parts(seeds: int, _folds: list[int]) -> Iterator[str]:
    """What is trained by itself: the names of its cells' parts."""
    yield from (f"{seed}" for seed in range(seeds))


def network() -> nn.Sequential:
    return nn.Sequential(
        *nn.conv_block(1, 8, "ptq"),
        nn.MaxPool2d(2),
        *nn.conv_block(8, 16, "ptq"),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 32, "ptq"),
        nn.ReLU(),
        nn.Linear(32, 10, "ptq"),
    )


class Cell:
    """A seed: its split and its float net."""

    def __init__(self, part: str) -> None:
        data = load_digits()
        x, y = (data.images[:, None] / 16).astype(np.float32), data.target.astype(np.int64)
        self.seed = int(part)
        held = nn.split(np.arange(len(x)), y, seed=self.seed)
        self._rows = {k: getattr(held, k)[0] for k in ("train", "validation", "test")}
        self._all = x, y
        torch.manual_seed(self.seed)
        self.model = nn.Model(network(), (1, 8, 8), calibration=x[self._rows["train"]][:256])
        nn.fit(self.model, *self._sets(), epochs=EPOCHS[0], seed=self.seed, progress=False)
        self.x, self.y = x[self._rows["test"]], y[self._rows["test"]]
        self.cluster = self._rows["test"]

    def _sets(self) -> list[tuple[Any, Any]]:
        x, y = self._all
        return [(x[self._rows[k]], y[self._rows[k]]) for k in ("train", "validation")]

    def weighed(self) -> Weighed:
        """By the divergence from its own float answers, on 512 training rows."""
        return weighed(self.model, self._sets()[0][0])

    def train_on(self, made: nn.Model) -> None:
        """The quantised net, for a few epochs."""
        nn.fit(made, *self._sets(), epochs=EPOCHS[1], lr=1e-3, seed=self.seed, progress=False)
        made.calibrate()

"""Digits: a convolution and two layers of the kind between an int8 stem and an int8 head."""

import sys
from pathlib import Path

import numpy as np
import torch

from edgeq import nn
from edgeq.nn.learned_steps import STRAIGHT_THROUGH

sys.path.insert(0, str(Path(__file__).parents[1] / "digits"))
import train

NAME = "digits"
EPOCHS = 15


def network(kind: str, seed: int, quantizer: str = STRAIGHT_THROUGH) -> nn.Model:
    """Untrained; kind "ptq" throughout trains in float."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        own, ends = {"quantizer": quantizer}, "ptq" if kind == "ptq" else "int8"
        body = nn.Sequential(
            *nn.conv_block(1, 8, ends),
            nn.Conv2d(8, 16, 3, kind, 2, 1, bias=False, **own),
            *(nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(16 * 4 * 4, 32, kind, **own), nn.ReLU()),
            *(nn.Linear(32, 32, kind, **own), nn.ReLU(), nn.Linear(32, 10, ends)),
        )
        return nn.Model(body, train.SHAPE, name=NAME)


class Part:
    """One seed: x and y of the test rows, and the models trained on the others."""

    def __init__(self, seed: int) -> None:
        self.seed, self._data = seed, train.digits()
        self.x, self.y = self._data.test
        self.cluster = np.arange(len(self.y))
        self._floating = network("ptq", seed)

    def start(self) -> nn.Model:
        """The float network."""
        self._fit(self._floating, self.seed)
        return self._floating

    def quantised(self, kind: str, quantizer: str) -> nn.Model:
        """The float network's weights, trained on in that kind."""
        model = network(kind, self.seed, quantizer)
        model.load_state_dict(self._floating.state_dict())
        self._fit(model, self.seed + 1000)
        model.calibrate(self._data.validation[0])
        return model

    def _fit(self, model: nn.Model, seed: int) -> None:
        plan = {"epochs": EPOCHS, "seed": seed, "augment": train.shifted, "progress": False}
        nn.fit(model, self._data.train, self._data.validation, **plan)


def part(_fold: int, seed: int) -> Part:
    """The only fold of that seed."""
    return Part(seed)

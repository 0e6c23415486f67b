"""ESC-10: the example's trunk and one expert, five folds, the other folds' clips weigh losses."""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from edgeq import nn
from edgeq.nn.sensitivity import Weighed, weighed

sys.path.insert(0, str(Path(__file__).parents[1] / "esc10"))
import esc10
import features
import train

NAME, CLUSTERS = "esc10", "recordings"
KINDS = ("ternary", "int2", "int3", "int4", "int8")
EPOCHS = (train.FLOAT_EPOCHS, train.QUANTISED_EPOCHS)
CACHE = Path("build/plans")


def parts(seeds: int, folds: list[int]) -> Iterator[str]:
    """What is trained by itself: a fold and a seed."""
    yield from (f"{fold}-{seed}" for seed in range(seeds) for fold in folds)


class Cell:
    """A fold and a seed: the float net of the other folds' clips."""

    def __init__(self, part: str) -> None:
        fold, self.seed = (int(one) for one in part.split("-"))
        clips = features.load_clips(esc10.data_folder(None), CACHE)
        test, self._learn = clips.rows(clips.fold == fold), clips.rows(clips.fold != fold)
        self.x, self.y, self.cluster = test.x, test.y, test.source
        self.model = self._float_net()
        self._fit(self.model, EPOCHS[0], train.FLOAT_LR, self.seed)

    def _float_net(self) -> nn.Model:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            body = nn.Sequential(*train.trunk(), *train.expert("int8"))
            rows = train.first_of_each(self._learn, train.CALIBRATION_PER_CLASS).x
            return train.as_float(nn.Model(body, features.SHAPE, name=NAME, calibration=rows))

    def weighed(self) -> Weighed:
        """By the divergence from its own float answers, which needs no clips apart."""
        return weighed(self.model, self._learn.x)

    def train_on(self, made: nn.Model) -> None:
        """The quantised net, as the example's."""
        self._fit(made, EPOCHS[1], train.QUANTISED_LR, self.seed + 1000)
        made.calibrate()

    def _fit(self, model: nn.Model, epochs: int, lr: float, seed: int) -> None:
        """The last epoch's weights stay: no clip chooses one."""
        labels = {"label_smoothing": train.SMOOTHING, "augment": train.augment}
        plan = {"epochs": epochs, "lr": lr, "seed": seed, "batch_size": train.BATCH}
        nn.fit(model, (self._learn.x, self._learn.y), progress=False, **labels, **plan)

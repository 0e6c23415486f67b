"""ESC-10: the 1x1 convolutions of the example's expert, behind its int8 trunk, in each kind."""

import sys
from pathlib import Path

import torch

from edgeq import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "esc10"))
import esc10
import features
import train

NAME = "esc10"
DATA: Path | None = None
CACHE = Path("build/quantizers")


def network(kind: str, seed: int, quantizer: str) -> nn.Model:
    """Untrained; the quantiser is that of the layers of the kind."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tail = train.expert(kind)
        for layer in [m for m in tail if isinstance(m, nn.Conv2d) and m.groups == 1]:
            at = list(tail).index(layer)
            tail[at] = nn.Conv2d(
                layer.in_channels, layer.out_channels, 1, kind, bias=False, quantizer=quantizer
            )
        return nn.Model(nn.Sequential(train.trunk(), tail), features.SHAPE, name=NAME)


class Part:
    """One fold and seed: x and y of the fold's clips, and the models trained on the others."""

    def __init__(self, fold: int, seed: int) -> None:
        CACHE.mkdir(parents=True, exist_ok=True)
        clips = features.load_clips(esc10.data_folder(DATA), CACHE)
        test = clips.rows(clips.fold == fold)
        self.seed, self._learn = seed, clips.rows(clips.fold != fold)
        self.x, self.y, self.cluster = test.x, test.y, test.source
        self._floating = train.as_float(network("int8", seed, "straight_through"))

    def start(self) -> nn.Model:
        """The float network."""
        self._fit(self._floating, train.FLOAT_EPOCHS, train.FLOAT_LR, self.seed)
        return self._floating

    def quantised(self, kind: str, quantizer: str) -> nn.Model:
        """The float network's weights, trained on in that kind."""
        model = network(kind, self.seed, quantizer)
        model.load_state_dict(self._floating.state_dict())
        self._fit(model, train.QUANTISED_EPOCHS, train.QUANTISED_LR, self.seed + 1000)
        model.calibrate(train.first_of_each(self._learn, train.CALIBRATION_PER_CLASS).x)
        return model

    def _fit(self, model: nn.Model, epochs: int, lr: float, seed: int) -> None:
        """The last epoch's weights stay: no clip is held back to choose one."""
        labels = {"label_smoothing": train.SMOOTHING, "augment": train.augment}
        plan = {"epochs": epochs, "lr": lr, "seed": seed, "batch_size": train.BATCH}
        nn.fit(model, (self._learn.x, self._learn.y), progress=False, **labels, **plan)


def part(fold: int, seed: int) -> Part:
    """That fold and seed."""
    return Part(fold, seed)

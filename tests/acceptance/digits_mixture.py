"""A mixture of three kinds of weights behind a Bayesian router, on the digits of the example."""

from types import ModuleType

import torch

from edgeq import nn

KINDS = ("ternary", "int4", "int8")
WIDTH, HIDDEN, SEED = 16 * 4 * 4, 32, 0


def digits_mixture(example: ModuleType, epochs: int) -> nn.Model:
    """Trained and calibrated; `example` is examples/digits/train.py."""
    torch.set_num_threads(1)
    data = example.digits()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        body = _network()
    names = [str(digit) for digit in range(10)]
    model = nn.Model(body, example.SHAPE, names, evaluation=data.test, name="digits")
    augment = example.shifted
    nn.fit(
        model,
        data.train,
        data.validation,
        epochs=epochs,
        seed=SEED,
        augment=augment,
        progress=False,
    )
    model.calibrate(data.train[0][: example.CALIBRATION_ROWS])
    return model


def _network() -> nn.TrunkMixture:
    trunk = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1, kind="int8"), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3, stride=2, padding=1, kind="int8"), nn.BatchNorm2d(16), nn.ReLU()),
        nn.Flatten(),
    )
    router = nn.BayesianRouter(WIDTH, len(KINDS), hidden=(32, 16), dropout=0.1, seed=SEED)
    return nn.TrunkMixture(trunk, nn.Mixture([_expert(k) for k in KINDS], router, KINDS))


def _expert(kind: str) -> nn.Sequential:
    return nn.Sequential(nn.Linear(WIDTH, HIDDEN, kind), nn.ReLU(), nn.Linear(HIDDEN, 10, "int8"))

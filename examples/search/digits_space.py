"""A space for `edgeq search`: small convolutional nets on scikit-learn's digits, width by width.

edgeq search examples/search/digits_space.py --board rpi_pico --trials 30 --max-latency 20ms
"""

import numpy as np
import torch
from sklearn.datasets import load_digits

from edgeq import nn

_DIGITS = load_digits()
_X = (_DIGITS.images[:, None] / 16).astype(np.float32)
PARTS = nn.split(_X, _DIGITS.target.astype(np.int64), seed=0)
KINDS = ["ternary", "int3", "int4", "int8"]
EPOCHS, STEPS = 2, 3


def build(trial) -> nn.Model:
    """Two convolutions and a dense layer; each has a width of its own."""
    torch.manual_seed(trial.number)
    first, second = (
        trial.suggest_int("first", 4, 16, step=4),
        trial.suggest_int("second", 8, 32, step=8),
    )
    kinds = [trial.suggest_categorical(f"kind{at}", KINDS) for at in range(3)]
    body = nn.Sequential(
        *nn.conv_block(1, first, kinds[0]),
        nn.MaxPool2d(2),
        *nn.conv_block(first, second, kinds[1]),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * second, 10, kinds[2]),
    )
    data = {"calibration": PARTS.train[0][:256], "evaluation": PARTS.test}
    return nn.Model(body, (1, 8, 8), name="digits", **data)


def train(model: nn.Model, report) -> None:
    """Six epochs; what the validation rows say is told after every second."""
    for step in range(STEPS):
        history = nn.fit(
            model,
            PARTS.train,
            PARTS.validation,
            epochs=EPOCHS,
            lr=3e-3 / (step + 1),
            seed=step,
            progress=False,
        )
        report(step, history.best_accuracy)


def score(model: nn.Model) -> float:
    """Of the validation rows; the test rows have no part in the search."""
    x, y = PARTS.validation
    return float((model.predict(x)[0].argmax(1) == y).mean())

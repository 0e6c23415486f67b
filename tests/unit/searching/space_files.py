"""Space files for the tests: one that searches blobs, and ones that fail in ways of their own."""

BLOBS = """
import os, signal
from pathlib import Path

import numpy as np
import torch

from edgeq import nn

rng = np.random.default_rng(0)
Y = rng.integers(0, 3, 160)
X = (rng.normal(size=(160, 8)) + 1.5 * np.eye(3, 8)[Y]).astype(np.float32)
KILL = Path(__file__).with_name("kill")


def build(trial):
    if trial.number == 2 and KILL.exists():
        KILL.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    torch.manual_seed(trial.number)
    kind = trial.suggest_categorical("kind", ["ternary", "int4", "int8"])
    width = trial.suggest_int("width", 4, 24)
    body = nn.Sequential(nn.Linear(8, width, kind), nn.ReLU(), nn.Linear(width, 3, "int8"))
    return nn.Model(body, (8,), name="blobs", calibration=X[:80], evaluation=(X[120:], Y[120:]))


def train(model, report):
    history = nn.fit(model, (X[:80], Y[:80]), (X[80:120], Y[80:120]), epochs=2, progress=False)
    report(0, history.best_accuracy)


def score(model):
    return float((model.predict(X[80:120])[0].argmax(1) == Y[80:120]).mean())
"""

REST = "def train(model, report): pass\ndef score(model): return 0.5\n"
NO_FUNCTION = "def build(trial): pass\n"
NO_PYTHON = "def build(:\n"
RAISES = "def build(trial):\n    raise ValueError('too few')\n" + REST
NO_MODEL = "def build(trial):\n    return 3\n" + REST
ENDS = "import os\n\ndef build(trial):\n    os._exit(9)\n" + REST

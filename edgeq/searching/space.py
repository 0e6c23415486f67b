"""The user's space: a Python file with what a trial builds, trains and scores.

def build(trial) -> edgeq.nn.Model       # untrained, with calibration rows; trial is Optuna's
def train(model, report) -> None         # report(epoch, accuracy) may end the trial early
def score(model) -> float                # accuracy on rows that training did not see, 0 to 1
"""

import importlib.util
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeq.errors import BadInput

NAMES = ("build", "train", "score")


@dataclass(frozen=True)
class Space:
    """The three functions of a file."""

    path: Path
    build: Callable[..., Any]
    train: Callable[..., Any]
    score: Callable[..., Any]


def load_space(path: Path) -> Space:
    """Runs the file. BadInput where it is not there, cannot run, or lacks a function."""
    if not path.is_file():
        raise BadInput(f"{path} is no file; give a Python file with {', '.join(NAMES)}")
    spec = importlib.util.spec_from_file_location("edgeq_space", path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{path} is no Python file; its name ends with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["edgeq_space"] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BadInput(f"{path} cannot run: {where(error, path)}") from error
    absent = [name for name in NAMES if not callable(getattr(module, name, None))]
    if absent:
        raise BadInput(
            f"{path} has no function {', '.join(absent)}; a space has build(trial), "
            "train(model, report) and score(model)"
        )
    return Space(path, module.build, module.train, module.score)


def where(error: BaseException, path: Path) -> str:
    """ "ValueError: too few, at space.py line 12": the last line of the user's own file."""
    own = str(path.resolve())
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == own]
    frames = frames or [
        f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)
    ]
    at = f", at {path.name} line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}: {str(error)[:500]}{at}"

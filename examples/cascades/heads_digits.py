"""Digits for heads.py: the dense network of digits_cells.py, and an exit of the full one."""

from pathlib import Path

import digits_cells as cells
import numpy as np
from answers import Cell
from heads_made import Cheap, Lesson, exit_of, signals_of

from edgeq import nn
from edgeq.ops.op import Array

CELLS = tuple(f"{seed}" for seed in cells.SEEDS)
EXIT_HIDDEN = 16


def opened(_data: Path | None, _cache: Path) -> Array:
    """The labels of all rows; the images come with scikit-learn."""
    return cells.labels()


def clusters(labels: Array) -> Array:
    """Each image is its own."""
    return np.arange(len(labels))


def cell(_labels: Array, name: str) -> Cell:
    """The cell of that name: its seed."""
    seed = int(name)
    learn, _, test = cells.parts(seed)
    teacher = cells.train.precise((learn["x"], learn["y"]), seed, progress=False)
    lesson = Lesson(
        cells.train.SHAPE,
        learn["x"],
        learn["y"],
        learn["x"][: cells.train.CALIBRATION_ROWS],
        {"augment": cells.train.shifted},
        seed,
    )
    dense = cells.train.dense("int8", seed)
    dense = cells.train.taught(dense, teacher, learn["x"], seed, progress=False)
    cut = [isinstance(layer, nn.Flatten) for layer in teacher.body].index(True)
    named = {
        "dense int8": Cheap([dense.body, teacher.body]),  # of an image the mean says nothing
        "exit int8": exit_of(teacher, cut, EXIT_HIDDEN, lesson),
    }
    return {"row": test["row"], **signals_of(named, lesson, test["x"], test["y"])}

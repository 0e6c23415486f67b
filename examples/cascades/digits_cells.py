"""Digits: trains the single networks of the study, one cell (seed) a file.

    python examples/cascades/digits_cells.py --out build/cascades/digits

The test part is the example's; what is left is split anew by each seed, a fifth of it `held`.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from answers import Cell, keep, network_answers

sys.path.insert(0, str(Path(__file__).parents[1] / "digits"))
import train

from edgeq import nn

KINDS = ("int8", "ternary")
SEEDS = (0, 1, 2)
HELD = 0.2


def parts(seed: int) -> tuple[Cell, Cell, Cell]:
    """(learn, held, test), each with x, y and row numbers."""
    data = train.digits()
    x, y = (np.concatenate(both) for both in zip(data.train, data.validation, strict=True))
    held = np.zeros(len(y), bool)
    rng = np.random.default_rng(seed)
    for label in np.unique(y):
        mine = rng.permutation(np.flatnonzero(y == label))
        held[mine[: round(HELD * len(mine))]] = True
    tested = np.arange(len(data.test[1])) + len(y)
    return (
        {"x": x[~held], "y": y[~held], "row": np.flatnonzero(~held)},
        {"x": x[held], "y": y[held], "row": np.flatnonzero(held)},
        {"x": data.test[0], "y": data.test[1], "row": tested},
    )


def labels() -> Any:
    """Of every row that `parts` names: (row,)."""
    data = train.digits()
    return np.concatenate([data.train[1], data.validation[1], data.test[1]])


def cell(seed: int, models: Path) -> Cell:
    """Trains one cell; its arrays, and the model files into the folder `models`."""
    learn, held, test = parts(seed)
    told: Cell = {"held/row": held["row"], "test/row": test["row"]}
    models.mkdir(parents=True, exist_ok=True)
    for name, model in trained(learn, seed):
        told |= network_answers(name, model, {"held": held["x"], "test": test["x"]}, models)
        print(f"digits_cells: seed {seed}: {name}", file=sys.stderr, flush=True)
    return told


def networks(seed: int) -> Iterator[tuple[str, nn.Model]]:
    """The untrained students: narrower ones, and ones without convolutions."""
    for kind in KINDS:
        yield f"half {kind}", nn.narrowed(train.single(kind, seed), 0.5, seed=seed)
    yield "quarter int8", nn.narrowed(train.single("int8", seed), 0.25, seed=seed)
    for kind in KINDS:
        yield f"dense {kind}", train.dense(kind, seed)


def trained(learn: Cell, seed: int) -> Iterator[tuple[str, nn.Model]]:
    """Every network, calibrated: the first from the labels, the others from its answers."""
    teacher = train.precise((learn["x"], learn["y"]), seed, progress=False)
    teacher.calibrate(learn["x"][: train.CALIBRATION_ROWS])
    yield "full int8", teacher
    for name, student in networks(seed):
        train.taught(student, teacher, learn["x"], seed, progress=False)
        student.calibrate(learn["x"][: train.CALIBRATION_ROWS])
        yield name, student


def main(argv: Sequence[str] | None = None) -> int:
    """Trains the cells that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("build/cascades/digits"))
    chosen = parser.parse_args(argv)
    torch.set_num_threads(1)
    for seed in SEEDS:
        kept = chosen.out / f"seed{seed}.npz"
        keep(kept, lambda s=seed, k=kept: cell(s, k.with_suffix("")))
    return 0


if __name__ == "__main__":
    sys.exit(main())

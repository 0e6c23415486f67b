"""ESC-10: trains the single networks of the study, one cell (test fold, seed) a file.

    python examples/cascades/esc10_cells.py --data DIR --out build/cascades/esc10

A cell holds what its networks answer on clips that no training saw: `held` (a part of the four
training folds, other recordings than the rest) and `test` (the fifth). The script goes on where it
was cut; score.py makes cascades of the answers.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from answers import Cell, file_of, keep, network_answers

sys.path.insert(0, str(Path(__file__).parents[1] / "esc10"))
import train
from esc10 import data_folder
from features import CLASS_NAMES, FOLDS, SHAPE, Clips, load_clips
from single import (
    FLOAT_LR,
    VIEW_EPOCHS,
    WIDTHS,
    name_of,
    narrower,
    network,
    parts,
    plan,
    quantised,
    teacher,
    views,
)

import edgeq
from edgeq import nn as eq
from edgeq.errors import EdgeqError

_EVERY = ("int8", "int4", "ternary")
KINDS = {1.0: ("int8",), 0.5: _EVERY, 0.25: _EVERY}
ADDED = "shallow int8"
SEEDS = (0, 1, 2)


def shallow(kind: str, seed: int) -> eq.Model:
    """Three blocks instead of six, with strides as early: cheaper by depth and not by width."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        features = eq.depthwise_separable((32, 64, 96), (2, 2, 1), train.STEM_CHANNELS, kinds=kind)
        head = eq.Linear(96, len(CLASS_NAMES), "int8")
        body = eq.Sequential(features, eq.Sequential(eq.Dropout(0.1), head))
        return eq.Model(body, SHAPE, CLASS_NAMES, name="esc10")


def trained(learn: Clips, seed: int) -> Iterator[tuple[str, eq.Model]]:
    """Every network, calibrated: float first, then each kind from the float weights.

    The full-width float network learns from the labels and teaches all others, on augmented clips
    that are the same for all of them.
    """
    taught_by = teacher(learn, seed)
    seen = views(learn, seed)
    for width in WIDTHS:
        floating = narrower(width, taught_by, seen, seed) if width < 1.0 else taught_by
        for kind in KINDS[width]:
            model = eq.narrowed(network(kind, seed), width, seed=seed)
            yield name_of(width, kind), quantised(model, floating, taught_by, learn, seen, seed)


def added(learn: Clips, seed: int, taught_by: eq.Model) -> Iterator[tuple[str, eq.Model]]:
    """The shallow network, by the same recipe; its teacher is the last stage itself."""
    seen = views(learn, seed)
    floating = train.as_float(shallow("int8", seed))
    eq.distill(floating, taught_by, seen, hard=0.0, **plan(VIEW_EPOCHS, FLOAT_LR, seed))
    yield ADDED, quantised(shallow("int8", seed), floating, taught_by, learn, seen, seed)


def cell(clips: Clips, fold: int, seed: int, models: Path) -> Cell:
    """Trains one cell; its arrays, and the model files into the folder `models`."""
    learn, held, test = parts(clips, fold, seed)
    row_of = {name: i for i, name in enumerate(clips.names)}
    told = {
        f"{part}/row": np.array([row_of[n] for n in some.names])
        for part, some in (("held", held), ("test", test))
    }
    models.mkdir(parents=True, exist_ok=True)
    for name, model in trained(learn, seed):
        told |= network_answers(name, model, {"held": held.x, "test": test.x}, models)
        say(f"fold {fold} seed {seed}: {name}")
    return told


def topped_up(clips: Clips, fold: int, seed: int, kept: Path) -> Cell:
    """The arrays of a cell with those of the added network."""
    learn, held, test = parts(clips, fold, seed)
    models = kept.with_suffix("")
    told: Cell = dict(np.load(kept))
    for name, model in added(learn, seed, edgeq.load(models / file_of("full int8"))):
        told |= network_answers(name, model, {"held": held.x, "test": test.x}, models)
        say(f"fold {fold} seed {seed}: {name}")
    return told


def say(text: str) -> None:
    """Progress goes to standard error."""
    print(f"cells: {text}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains the cells that are not there yet; returns edgeq's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with esc50.csv and audio/")
    parser.add_argument("--out", type=Path, default=Path("build/cascades/esc10"))
    chosen = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        clips = load_clips(data_folder(chosen.data), chosen.out)
        for seed, fold in ((s, f) for s in SEEDS for f in FOLDS):
            kept = chosen.out / f"fold{fold}_seed{seed}.npz"
            keep(kept, lambda f=fold, s=seed, k=kept: cell(clips, f, s, k.with_suffix("")))
            if f"scale/{ADDED}" not in np.load(kept):
                keep(kept, lambda f=fold, s=seed, k=kept: topped_up(clips, f, s, k), anew=True)
    except EdgeqError as error:
        say(str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

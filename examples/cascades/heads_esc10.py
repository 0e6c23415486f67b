"""ESC-10 for heads.py: the shallow network of esc10_cells.py, and an exit of the full one."""

from pathlib import Path

import esc10_cells as cells
from answers import Cell
from esc10_cells import Clips, train
from heads_made import Cheap, Lesson, exit_of, signals_of

from edgeq import nn
from edgeq.ops.op import Array

CELLS = tuple(f"{fold}/{seed}" for seed in cells.SEEDS for fold in cells.FOLDS)
EXIT_HIDDEN = 32


def opened(data: Path | None, cache: Path) -> Clips:
    """The clips, their features kept in the folder `cache`."""
    return cells.load_clips(cells.data_folder(data), cache)


def clusters(clips: Clips) -> Array:
    """Of every clip its recording: clips of one are no independent evidence."""
    return clips.source


def cell(clips: Clips, name: str) -> Cell:
    """The cell of that name, fold/seed; its networks are those of esc10_cells.py."""
    fold, seed = map(int, name.split("/"))
    learn, _, test = cells.parts(clips, fold, seed)
    row_of = {clip: i for i, clip in enumerate(clips.names)}
    taught_by, seen = cells.teacher(learn, seed), cells.views(learn, seed)
    whole = (taught_by, taught_by, learn, seen, seed)
    full = cells.quantised(cells.network("int8", seed), *whole)
    ((_, shallow),) = cells.added(learn, seed, full)
    lesson = Lesson(
        cells.SHAPE,
        learn.x,
        learn.y,
        train.first_of_each(learn, train.CALIBRATION_PER_CLASS).x,
        {"augment": train.augment, "label_smoothing": train.SMOOTHING, "batch_size": train.BATCH},
        seed,
    )
    layers = nn.Model(nn.Sequential(*full.body[0], *full.body[1]), cells.SHAPE)
    named = {
        "shallow int8": Cheap([shallow.body, full.body]),  # of a spectrum the mean says little
        "exit int8": exit_of(layers, len(full.body[0]), EXIT_HIDDEN, lesson),
    }
    rows = cells.np.array([row_of[clip] for clip in test.names])
    return {"row": rows, **signals_of(named, lesson, test.x, test.y)}

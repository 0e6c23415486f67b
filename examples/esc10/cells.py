"""Trains and scores the single networks of the cascade study, one cell (test fold, seed) a file.

    python examples/esc10/cells.py --data DIR --out build/cells

A cell holds what its networks answer, as int8 logits of the integer reference, on clips that no
training saw: `held` (a part of the four training folds, other recordings) and `test` (the fifth).
The script goes on where it was cut. cascade.py makes cascades of the answers.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import train
from esc10 import data_folder
from features import CLASS_NAMES, FOLDS, SHAPE, Clips, Floats, load_clips

import edgeq
from edgeq import nn as eq
from edgeq.board import load_board
from edgeq.errors import EdgeqError
from edgeq.ops.op import Array
from edgeq.passes import Quantized
from edgeq.reference import quantize_rows, run
from edgeq.sources import Trained

WIDTHS = {1.0: "full", 0.5: "half", 0.25: "quarter"}
_EVERY = ("int8", "int4", "ternary")
KINDS = {1.0: ("int8",), 0.5: _EVERY, 0.25: _EVERY}
SEEDS = (0, 1, 2)
HELD_PER_CLASS = 7  # of 32: more than a fifth of the training clips
FLOAT_EPOCHS = 30
VIEWS, VIEW_EPOCHS, QUANTISED_VIEWS = 12, 3, 8
FLOAT_LR, QUANTISED_LR = 6e-3, 2e-3
PASSES, DROPOUT = 10, 0.1953  # Monte Carlo dropout over the head, as in the paper's router
BOARD = "nucleo_l4r5zi"


def name_of(width: float, kind: str) -> str:
    """Such as "half ternary"."""
    return f"{WIDTHS[width]} {kind}"


NETWORKS = tuple(name_of(width, kind) for width in WIDTHS for kind in KINDS[width])


def network(kind: str, seed: int) -> eq.Model:
    """The example's trunk and one expert whose 1x1 convolutions are of that kind."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = eq.Sequential(train.trunk(), train.expert(kind))
        return eq.Model(body, SHAPE, CLASS_NAMES, name="esc10")


def parts(clips: Clips, fold: int, seed: int) -> tuple[Clips, Clips, Clips]:
    """(learn, held, test) clips: no original recording is in two of them."""
    rng = np.random.default_rng([fold, seed])
    held = np.zeros(len(clips.y), bool)
    training = clips.fold != fold
    for label in range(len(CLASS_NAMES)):
        mine = (clips.y == label) & training
        for source in rng.permutation(np.unique(clips.source[mine])):
            if (held & mine).sum() >= HELD_PER_CLASS:
                break
            held |= (clips.source == source) & training
    return clips.rows(training & ~held), clips.rows(held), clips.rows(~training)


def trained(learn: Clips, seed: int) -> Iterator[tuple[str, eq.Model]]:
    """Every network, calibrated: float first, then each kind from the float weights.

    The full-width float network learns from the labels and teaches all others, on augmented clips
    that are the same for all of them.
    """
    teacher = train.as_float(network("int8", seed))
    labels = {"label_smoothing": train.SMOOTHING, "augment": train.augment}
    eq.fit(teacher, (learn.x, learn.y), **labels, **_plan(FLOAT_EPOCHS, FLOAT_LR, seed))
    seen = views(learn, seed)
    for width in WIDTHS:
        floating = teacher
        if width < 1.0:
            floating = train.as_float(eq.narrowed(network("int8", seed), width, seed=seed))
            eq.distill(floating, teacher, seen, hard=0.0, **_plan(VIEW_EPOCHS, FLOAT_LR, seed))
        for kind in KINDS[width]:
            model = eq.narrowed(network(kind, seed), width, seed=seed)
            model.load_state_dict(floating.state_dict())
            few = seen[: QUANTISED_VIEWS * len(learn.y)]
            eq.distill(model, teacher, few, hard=0.0, **_plan(1, QUANTISED_LR, seed))
            model.calibrate(train.first_of_each(learn, train.CALIBRATION_PER_CLASS).x)
            yield name_of(width, kind), model


def views(clips: Clips, seed: int) -> Floats:
    """VIEWS augmented copies of every clip, copy after copy."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(clips.x), torch.from_numpy(clips.y)
    return np.concatenate([train.augment(x, y, generator)[0].numpy() for _ in range(VIEWS)])


def _plan(epochs: int, lr: float, seed: int) -> dict[str, Any]:
    return {
        "epochs": epochs,
        "lr": lr,
        "seed": seed,
        "batch_size": train.BATCH,
        "progress": False,
    }


def quantized(model: eq.Model) -> Quantized:
    """The integer graph that an export for the board ships."""
    features = load_board(BOARD).features
    source = Trained(Path("cell"), "", model)
    return source.quantized(source.rows(None), "mse", features, None)


def answers(model: eq.Model, parts_: Sequence[Clips]) -> list[dict[str, Array]]:
    """For each part int8 `logits` (clip, class), as the device gives them, and the Monte Carlo
    uncertainty `mc` (clip,) of the head."""
    graph = quantized(model).graph
    told = []
    for clips in parts_:
        result = run(graph, quantize_rows(graph, np.moveaxis(clips.x, 1, -1)))
        told.append({"logits": result.output.astype(np.int8), "mc": head_uncertainty(model, clips)})
    return told


@torch.no_grad()
def head_uncertainty(model: eq.Model, clips: Clips) -> Array:
    """sum_c Var_m p_c over PASSES passes of the head alone, its input thinned by DROPOUT: the
    paper's epistemic uncertainty, taken from the cheap network itself. The masks serve every
    clip. float32 (clip,)."""
    seen = list[torch.Tensor]()
    head = model.body[1][-1]
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.eval()(torch.from_numpy(clips.x))
    hook.remove()
    features = seen[0]
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(PASSES, features.shape[1], generator=generator) >= DROPOUT
    p = [torch.softmax(head(features * mask / (1 - DROPOUT)), 1) for mask in masks]
    variance: Array = torch.stack(p).var(0).sum(1).numpy()
    return variance


def cell(clips: Clips, fold: int, seed: int, models: Path) -> dict[str, Array]:
    """Trains one cell; its arrays, and the model files into the folder `models`."""
    learn, held, test = parts(clips, fold, seed)
    row_of = {name: i for i, name in enumerate(clips.names)}
    rows = {
        part: np.array([row_of[n] for n in some.names])
        for part, some in (("held", held), ("test", test))
    }
    models.mkdir(parents=True, exist_ok=True)
    told: dict[str, Array] = {f"{part}/clip": clip for part, clip in rows.items()}
    for name, model in trained(learn, seed):
        edgeq.save(model, models / f"{name.replace(' ', '_')}.pt")
        for part, answer in zip(rows, answers(model, (held, test)), strict=True):
            told |= {f"{part}/{name}/{what}": value for what, value in answer.items()}
        told[f"kernels/{name}"] = np.array([n.kernel or "" for n in quantized(model).graph.nodes])
        say(f"fold {fold} seed {seed}: {name}")
    return told


def say(text: str) -> None:
    """Progress goes to standard error."""
    print(f"cells: {text}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Trains the cells that are not there yet; returns edgeq's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with esc50.csv and audio/")
    parser.add_argument("--out", type=Path, default=Path("build/cells"))
    chosen = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        clips = load_clips(data_folder(chosen.data), chosen.out)
        for seed, fold in ((s, f) for s in SEEDS for f in FOLDS):
            kept = chosen.out / f"fold{fold}_seed{seed}.npz"
            if kept.is_file():
                continue
            start = os.times()
            told = cell(clips, fold, seed, kept.with_suffix(""))
            now = os.times()
            seconds = now.user + now.system - start.user - start.system
            partial = kept.with_suffix(".partial")
            with partial.open("wb") as file:
                np.savez(file, cpu_seconds=seconds, **told)
            partial.rename(kept)
    except EdgeqError as error:
        say(str(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

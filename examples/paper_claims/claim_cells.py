"""Mixtures and float answers from the cells of ../cascades, one file a cell.

    python examples/paper_claims/claim_cells.py --cells build/cascades/esc10 --data DIR

A mixture has the trunk of the cell's half-width int8 network and three copies of its tail, in
ternary, 4 and 8 bits, behind a Bayesian router: the paper's shape, on a network that fits the
board. Trunk and int8 expert stand still; the others learn the int8 network's answers, the router is
trained last. The script goes on where it was cut; claims.py makes the table.
"""

import argparse
import copy
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "cascades"))
import esc10_cells as esc10
import single
import train
from answers import Cell, file_of, graph_of, keep, kernels_of

import edgeq
from edgeq import nn
from edgeq.arrays import channels_last
from edgeq.errors import EdgeqError
from edgeq.ops.op import Array
from edgeq.reference import quantize_rows, run

BASE = "half int8"
KINDS = ("ternary", "int4", "int8")
RULES = {"off": 1.0, "precision_prior": 1.0, "precision_prior 8": 8.0, "escalation": 1.0}
VIEWS = 4


def mixture(base: nn.Model, learn: esc10.Clips, seed: int) -> nn.Model:
    """The trained mixture of one cell, not calibrated."""
    trunk, tail = base.body[0], base.body[1]
    experts = []
    for kind in KINDS:
        other = nn.narrowed(single.network(kind, seed), 0.5, seed=seed).body[1]
        other.load_state_dict(tail.state_dict())
        experts.append(other)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        router = nn.BayesianRouter(train.CHANNELS[-1] // 2, len(KINDS), hidden=(32, 16), seed=seed)
    seen = single.views(learn, seed)[: VIEWS * len(learn.y)]
    teacher = copy.deepcopy(base)
    for expert in experts[:-1]:
        student = nn.Sequential(trunk, expert)
        plan = {"epochs": 1, "lr": single.QUANTISED_LR, "seed": seed, "progress": False}
        nn.distill(student, teacher, seen, hard=0.0, freeze=[trunk], **plan)
    body = nn.TrunkMixture(trunk, nn.Mixture(experts, router, KINDS))
    made = nn.Model(body, base.input_shape, base.class_names, name="curious")
    nn.fit_router(made, (learn.x, learn.y), price=train.PRICE, seed=seed, augment=train.augment)
    return made


def in_float(base: nn.Model, x: Array) -> Array:
    """Logits of the int8 network's own float weights, nothing rounded: what the paper's code calls
    16 bits is float32."""
    return train.as_float(copy.deepcopy(base)).predict(x)[0]


def cell(clips: esc10.Clips, fold: int, seed: int, trained: Path, models: Path) -> Cell:
    """What networks and mixtures answer on the test rows, and by which expert."""
    learn, _, test = single.parts(clips, fold, seed)
    calibration = train.first_of_each(learn, train.CALIBRATION_PER_CLASS).x
    base = edgeq.load(trained / file_of(BASE))
    told: Cell = {"row": np.array([clips.names.index(name) for name in test.names])}
    told["half float/logits"] = in_float(base, test.x)
    made = mixture(base, learn, seed)
    models.mkdir(parents=True, exist_ok=True)
    for rule, alpha in RULES.items():
        mixed = made.mixtures[0]
        mixed.rule, mixed.alpha = rule.partition(" ")[0], alpha
        made.calibrate(calibration)
        edgeq.save(made, models / file_of(rule))
        graph = graph_of(made)
        result = run(graph, quantize_rows(graph, channels_last(test.x)))
        told[f"mixture {rule}/logits"] = result.output.astype(np.int8)
        told[f"mixture {rule}/route"] = result.route.astype(np.int8)
        told[f"kernels/{rule}"] = kernels_of(graph)
    return told


def main(argv: Sequence[str] | None = None) -> int:
    """Trains what is not there yet; returns edgeq's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with esc50.csv and audio/")
    parser.add_argument("--cells", type=Path, default=Path("build/cascades/esc10"))
    parser.add_argument("--out", type=Path, default=Path("build/paper_claims"))
    chosen = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        clips = esc10.load_clips(esc10.data_folder(chosen.data), chosen.cells)
        for seed, fold in ((s, f) for s in esc10.SEEDS for f in esc10.FOLDS):
            trained = chosen.cells / f"fold{fold}_seed{seed}"
            if not trained.with_suffix(".npz").is_file():
                continue
            kept = chosen.out / f"fold{fold}_seed{seed}.npz"
            models = kept.with_suffix("")
            keep(kept, lambda f=fold, s=seed, t=trained, m=models: cell(clips, f, s, t, m))
            print(f"claim_cells: {kept}", file=sys.stderr, flush=True)
    except EdgeqError as error:
        print(f"claim_cells: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

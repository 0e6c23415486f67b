"""ParetoQ's learned steps against straight-through quantisation, at 1, 1.58, 2, 3 and 4 bits.

    python examples/quantizers/quantizers.py digits
    python examples/quantizers/quantizers.py esc10 --data DIR --folds 1 2 3 4 5
    python examples/quantizers/quantizers.py --write-table

A float network is trained, then both quantisers go on from it with the same batches, epochs and
learning rate. Cells that results.json has are not trained again; the test rows choose nothing.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgeq import nn
from edgeq.comparing.cascades import draws, interval, means
from edgeq.errors import BadInput, EdgeqError
from edgeq.files import write_file
from edgeq.nn.learned_steps import QUANTIZERS
from edgeq.ops.op import Array
from edgeq.reporting.markdown import commit_of, write_table

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE / "README.md"
KINDS = ("int1", "ternary", "int2", "int3", "int4")
SEEDS = (0, 1, 2)
FLOAT = "float"
Cell = dict[str, Any]
Key = tuple[str, int, int, str, str]  # data, fold, seed, kind, quantizer


def key_of(cell: Cell) -> Key:
    """What tells a cell from the others."""
    return cell["data"], cell["fold"], cell["seed"], cell["kind"], cell["quantizer"]


def variants() -> Iterator[tuple[str, str]]:
    """Every kind with both quantisers."""
    for kind in KINDS:
        for quantizer in QUANTIZERS:
            yield kind, quantizer


def judged(model: nn.Model, x: Array, y: Array) -> dict[str, Any]:
    """Accuracy and cross entropy on the test rows, and which were right, eight a byte."""
    made = torch.cat([_answer(model, x[i : i + 128]) for i in range(0, len(x), 128)])
    right = made.argmax(1).numpy() == y
    entropy = torch.nn.functional.cross_entropy(made, torch.from_numpy(y))
    return {
        "rows": len(y),
        "accuracy": round(float(right.mean()), 6),
        "cross_entropy": round(float(entropy), 6),
        "right": np.packbits(right).tobytes().hex(),
    }


@torch.no_grad()
def _answer(model: nn.Model, x: Array) -> torch.Tensor:
    made: torch.Tensor = model.eval()(torch.from_numpy(x))
    return made


class Results:
    """results.json, written after every cell."""

    def __init__(self, path: Path = RESULTS) -> None:
        self.path = path
        self.held: dict[str, Any] = {"torch": torch.__version__, "clusters": {}, "cells": []}
        if path.is_file():
            self.held = json.loads(path.read_text())

    def cells(self) -> dict[Key, Cell]:
        return {key_of(cell): cell for cell in self.held["cells"]}

    def add(self, cell: Cell) -> None:
        self.held["cells"] = sorted([*self.held["cells"], cell], key=key_of)
        write_file(self.path, (json.dumps(self.held, indent=1) + "\n").encode())
        print(f"{'/'.join(map(str, key_of(cell)))}: {cell['accuracy']:.2%}", file=sys.stderr)

    def cluster(self, data: str, fold: int, numbers: Array) -> None:
        self.held["clusters"][f"{data}/{fold}"] = numbers.tolist()


def run(study: Any, results: Results, folds: Sequence[int], seeds: Sequence[int]) -> None:
    """Trains the cells of a study that are not there yet; one thread, so that seeds decide."""
    torch.set_num_threads(1)
    for seed in seeds:
        for fold in folds:
            wanted = [(FLOAT, "-"), *variants()]
            missing = [w for w in wanted if (study.NAME, fold, seed, *w) not in results.cells()]
            if not missing:
                continue
            part = study.part(fold, seed)
            results.cluster(study.NAME, fold, part.cluster)
            for kind, quantizer in wanted:
                if kind == FLOAT or (kind, quantizer) in missing:
                    made = part.start() if kind == FLOAT else part.quantised(kind, quantizer)
                    own = {"data": study.NAME, "fold": fold, "seed": seed, "kind": kind}
                    cell = {**own, "quantizer": quantizer, "commit": commit_of(HERE)}
                    if (kind, quantizer) in missing:
                        results.add({**cell, **judged(made, part.x, part.y)})


def compared(held: Mapping[str, Any], data: str) -> dict[str, dict[str, Any]]:
    """By kind: accuracy of each quantiser over folds and seeds, and learned less straight-through,
    each with the central 95 % over resamples of whole clusters.
    """
    cells = {key_of(cell): cell for cell in held["cells"] if cell["data"] == data}
    folds = sorted({key[1] for key in cells})
    cluster = np.concatenate(
        [np.array(held["clusters"][f"{data}/{fold}"]) + (fold << 20) for fold in folds]
    )
    weights = draws(cluster)
    told = {}
    for kind in (FLOAT, *KINDS):
        names = ("-",) if kind == FLOAT else QUANTIZERS
        by_name = {n: _rows(cells, data, folds, kind, n) for n in names}
        if any(rows is None for rows in by_name.values()):
            raise BadInput(f"results.json lacks cells of {data}, {kind}; run it to its end")
        sides = dict(by_name)
        if kind != FLOAT:
            sides["difference"] = by_name[QUANTIZERS[1]] - by_name[QUANTIZERS[0]]
        told[kind] = {n: (float(v.mean()), *interval(means(v, weights))) for n, v in sides.items()}
    return told


def _rows(
    cells: Mapping[Key, Cell], data: str, folds: Sequence[int], kind: str, quantizer: str
) -> Array | None:
    """Share of the seeds that were right, a row each; None where a cell is missing."""
    made = []
    for fold in folds:
        seeds = sorted({key[2] for key in cells if key[1] == fold})
        own = [cells.get((data, fold, seed, kind, quantizer)) for seed in seeds]
        if not all(own):
            return None
        made.append(np.mean([_bits(cell) for cell in own if cell], axis=0))
    return np.concatenate(made)


def _bits(cell: Cell) -> Array:
    packed = np.frombuffer(bytes.fromhex(cell["right"]), np.uint8)
    return np.unpackbits(packed)[: cell["rows"]].astype(np.float64)


def table_of(held: Mapping[str, Any]) -> str:
    """Markdown of every study in the results."""
    lines = [
        "| data | weights | straight-through | ParetoQ | ParetoQ less straight-through |",
        "|---|---|---|---|---|",
    ]
    for data in ("digits", "esc10"):
        own = [cell for cell in held["cells"] if cell["data"] == data]
        if not own:
            continue
        folds, seeds = ({cell[k] for cell in own} for k in ("fold", "seed"))
        told = f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
        what = f"{data}, {told}"
        if data == "esc10":
            what = f"{data}, folds {', '.join(map(str, sorted(folds)))}, {told}"
        for kind, sides in compared(held, data).items():
            if kind == FLOAT:
                lines.append(f"| {what} | float | {_share(sides['-'])} | | |")
                continue
            shown = [_share(sides[n]) for n in QUANTIZERS]
            lines.append(f"| | {kind} | {' | '.join(shown)} | {_points(sides['difference'])} |")
    return "\n".join(lines)


def _share(ends: tuple[float, float, float]) -> str:
    return f"{ends[0]:.1%} [{ends[1]:.1%}, {ends[2]:.1%}]"


def _points(ends: tuple[float, float, float]) -> str:
    value, low, high = (100 * end for end in ends)
    shown = f"{value:+.1f} points [{low:+.1f}, {high:+.1f}]"
    return shown if low > 0 or high < 0 else f"{shown}: no difference shown"


def main(argv: Sequence[str] | None = None) -> int:
    """Trains what is missing, or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", nargs="?", choices=("digits", "esc10"))
    parser.add_argument("--data", type=Path, help="the ESC-10 folder")
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--write-table", action="store_true")
    options = parser.parse_args(argv)
    try:
        results = Results()
        if options.study == "digits":
            import digits_study

            run(digits_study, results, (0,), options.seeds)
        elif options.study == "esc10":
            import esc10_study

            esc10_study.DATA = options.data
            run(esc10_study, results, options.folds, options.seeds)
        if options.write_table:
            write_table(README, table_of(results.held))
    except EdgeqError as error:
        print(f"quantizers: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Every signal of a cascade against the cheap expert's errors, from the device's integers.

    python examples/cascades/heads.py esc10 --out build/cascades/heads_esc10 --data DIR
    python examples/cascades/heads.py digits --out build/cascades/heads_digits
    python examples/cascades/heads.py esc10 --write-table   # of the kept answers, in seconds

Two cheap experts, each before the full int8 network: a small network of its own, and an exit behind
that network's own convolutions, where a router has features to read. The heads learn on the rows
that the networks learnt on; the test rows decide nothing. A cell (fold and seed) is a file; the
script goes on where it was cut, and scores the seeds whose cells are all there.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from answers import Cell, keep

from edgeq.comparing.cascades import auroc, draws
from edgeq.errors import BadInput, EdgeqError
from edgeq.files import write_file
from edgeq.ops.op import Array
from edgeq.ops.signals import SIGNALS
from edgeq.reporting.markdown import commit_of, write_table

HERE = Path(__file__).parent
STUDIES = ("esc10", "digits")
WHAT = {
    "esc10": "ESC-10, the test folds' clips ({clusters} recordings)",
    "digits": "digits, test rows",
}


def stored(study: str) -> Path:
    """What the signals of its test rows were."""
    return HERE / f"heads_{study}_answers.npz"


def told(study: str) -> Path:
    """The result."""
    return HERE / f"heads_{study}.json"


def gather(study: str, out: Path, data: Path | None, most: int) -> dict[str, Array]:
    """The cells of a study, trained where they are not there yet; of seeds that are whole.

    At most `most` cells are trained now.
    """
    made = importlib.import_module(f"heads_{study}")  # each has its own neighbour `train`
    rows = made.opened(data, out)
    for name in made.CELLS:
        path = out / f"cell_{name.replace('/', '_')}.npz"
        if path.is_file() or most > 0:
            most -= not path.is_file()
            keep(path, lambda n=name: made.cell(rows, n))
            print(f"heads: {study}: {name} is there", file=sys.stderr, flush=True)
    there = {n: out / f"cell_{n.replace('/', '_')}.npz" for n in made.CELLS}
    seeds = {n.rpartition("/")[2] for n, path in there.items() if not path.is_file()}
    whole = [n for n in made.CELLS if n.rpartition("/")[2] not in seeds]
    if not whole:
        raise BadInput(f"no seed of {study} has all its cells in {out}; run it once more")
    kept = {"cell": np.array(whole), "cluster": made.clusters(rows)}
    for name in whole:
        kept |= {f"{name}/{key}": value for key, value in np.load(there[name]).items()}
    return kept


def result(study: str, kept: Cell, commit: str) -> dict[str, Any]:
    """AUROC of every signal of each cheap expert against its errors, pairs inside a cell."""
    cells = kept["cell"].tolist()
    tested = np.unique(np.concatenate([kept[f"{c}/row"] for c in cells]))
    drawn = draws(kept["cluster"][tested])
    weights = {c: drawn[:, np.searchsorted(tested, kept[f"{c}/row"])] for c in cells}
    table: dict[str, Any] = {}
    for key in kept:
        cell, _, name = key.removesuffix("/wrong").rpartition("/")
        if not key.endswith("/wrong") or cell != cells[0]:
            continue
        wrong = {c: kept[f"{c}/{name}/wrong"] for c in cells}
        table[name] = {}
        for signal, rule in SIGNALS.items():
            if f"{cell}/{name}/{signal}" in kept:
                sign = 1 if rule.doubt else -1
                doubt = {c: sign * kept[f"{c}/{name}/{signal}"] for c in cells}
                found = auroc(doubt, wrong, weights)
                table[name][signal] = {"value": found.value, "interval": found.interval}
        table[name]["errors"] = {"wrong": found.wrong, "rows": found.rows}
    seeds = sorted({int(c.rpartition("/")[2]) for c in cells})
    clusters = len(np.unique(kept["cluster"][tested]))
    facts = {"study": study, "commit": commit, "seeds": seeds, "cells": len(cells)}
    return {**facts, "clusters": clusters, "signals": table}


def markdown(found: dict[str, Any]) -> str:
    """The table."""
    what = WHAT[found["study"]].format(**found)
    lines = [
        f"AUROC of each signal of the cascade against its cheap expert's errors, {what}.",
        "",
        f"| cheap expert | errors | {' | '.join(f'`{s}` [95 %]' for s in SIGNALS)} |",
        f"|---|---|{'---|' * len(SIGNALS)}",
    ]
    for name, of in found["signals"].items():
        shown = [_shown(of[s]) if s in of else "-" for s in SIGNALS]
        errors = f"{of['errors']['wrong']} of {of['errors']['rows']}"
        lines.append(f"| {name} | {errors} | {' | '.join(shown)} |")
    shown = [mean_auroc(found, s) for s in SIGNALS]
    means = " | ".join("-" if mean is None else f"{mean:.3f}" for mean in shown)
    lines.append(f"| mean of the two | | {means} |")
    seeds = ", ".join(map(str, found["seeds"]))
    return "\n".join([*lines, "", f"Integers of the reference, seeds {seeds}; {found['commit']}."])


def mean_auroc(found: dict[str, Any], signal: str) -> float | None:
    """Of a signal, over the cheap experts; None where one has none."""
    of = found["signals"].values()
    values = [each[signal]["value"] for each in of if signal in each]
    return float(np.mean(values)) if len(values) == len(of) else None


def _shown(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['value']:.3f} [{low:.3f}, {high:.3f}]"


def main(argv: Sequence[str] | None = None) -> int:
    """Trains, scores and prints; returns edgeq's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--out", type=Path, help="where trained cells stand or go")
    parser.add_argument("--data", type=Path, help="ESC-10's folder, with --out")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="cells to train now")
    parser.add_argument("--write-table", action="store_true", help="into the README")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    study = given.study
    try:
        if given.out:
            kept, commit = gather(study, given.out, given.data, given.most), commit_of(HERE)
            np.savez_compressed(stored(study), **kept)
        else:
            kept = dict(np.load(stored(study)))
            commit = json.loads(told(study).read_text())["commit"]
    except EdgeqError as error:
        print(f"heads: {error}", file=sys.stderr)
        return error.exit_code
    found = result(study, kept, commit)
    write_file(told(study), json.dumps(found, indent=1).encode() + b"\n")
    print(markdown(found))
    if given.write_table:
        write_table(HERE / "README.md", markdown(found), f"heads_{study}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

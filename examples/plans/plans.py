"""Plans against uniform widths, at equal cycles and equal weight bytes, trained on.

    python examples/plans/plans.py digits
    python examples/plans/plans.py esc10 --folds 1 2 3 4 5
    python examples/plans/plans.py --write-table

A float net is trained; uniform int8, int4 and int3, and the plans of the integer program at the
cycles, and at the weight bytes, of the latter two are quantised from it and trained a little on
(nn.fit). Test rows are answered in integers. A width's loss is the divergence of the answers from
the float net's, on training rows: labels of a few held-out rows are noise there. Goes on where it
was cut: each net's answers are a file of --out.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgeq.board import load_board
from edgeq.errors import EdgeqError
from edgeq.files import write_file
from edgeq.nn.sensitivity import loss_increases
from edgeq.planning.counted import Counted
from edgeq.planning.judged import integer_logits
from edgeq.planning.program import Costs, Limits, solve
from edgeq.planning.table import Bench, cost_table, uniform
from edgeq.reporting.markdown import commit_of, write_table
from edgeq.sources import Trained
from edgeq.thresholds.ranking import Clusters
from edgeq.toolchain import find_compiler

BOARD = "nucleo_l4r5zi"
HERE = Path(__file__).parent
README = HERE / "README.md"
STUDIES = ("digits", "esc10")
UNIFORM = ("int8", "int4", "int3")
PLANS = {
    f"{at} of {kind}": (at, kind) for kind in ("int4", "int3") for at in ("cycles", "weight bytes")
}


class Nets:
    """One part of a study (a seed, a fold): its cell and its table of costs and losses."""

    def __init__(self, study: Any, part: str, bench: Bench, counts: dict[str, Counted]) -> None:
        self.cell, self.bench = study.Cell(part), bench
        of = self.cell.weighed()
        losses = loss_increases(of, study.KINDS)
        if not counts:  # what a width costs follows from the shapes, which the parts share
            counts |= uniform(bench, self.cell.model, of.layers, study.KINDS, lambda *_: None)
        self.costs = cost_table(of.layers, counts, losses)
        self._made: dict[tuple[str, ...], dict[str, Any]] = {}

    def widths(self, name: str) -> Mapping[str, str] | None:
        """Of a uniform net, or a plan; None where the program has none."""
        if name in UNIFORM:
            return dict.fromkeys(self.costs.layers, name)
        at, kind = PLANS[name]
        like = self.costs.of(dict.fromkeys(self.costs.layers, kind))
        if at == "cycles":
            return solve(self.costs, Limits(cycles=like.cycles))
        plain = Costs(self.costs.layers, code_bytes=dict.fromkeys(self.costs.code_bytes, 0))
        bytes_ = plain.of(dict.fromkeys(plain.layers, kind)).flash_bytes
        return solve(plain, Limits(flash_bytes=bytes_))

    def answered(self, name: str) -> dict[str, Any]:
        """Trained on, counted, and the test rows answered in integers; once for equal widths."""
        widths = self.widths(name)
        assert widths is not None
        key = tuple(widths.values())
        if key not in self._made:
            self._made[key] = self._answered(widths)
        return self._made[key]

    def _answered(self, widths: Mapping[str, str]) -> dict[str, Any]:
        made = self.bench.quantized(self.cell.model, widths)
        self.cell.train_on(made)
        source = Trained("0" * 64, made)
        graph = source.quantized(source.rows(None), "mse", self.bench.board.features, None).graph
        x, y = self.cell.x, self.cell.y
        logits = integer_logits(graph, np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
        top = logits.max(1, keepdims=True)
        normal = np.log(np.exp(logits - top).sum(1)) + top[:, 0]
        counted = self.bench.count(made)
        return {
            "cluster": self.cell.cluster,
            "right": logits.argmax(1) == y,
            "loss": normal - logits[np.arange(len(y)), y],
            "cycles": counted.cycles,
            "weight_bytes": sum(layer.weight_bytes for layer in counted.layers),
            "widths": np.array(list(widths.values())),
        }


def file_of(folder: Path, study: str, name: str, part: str) -> Path:
    return folder / f"{study}_{name.replace(' ', '_')}_{part}.npz"


def score(folder: Path, study: str, parts: list[str]) -> dict[str, Any]:
    """Pooled over parts: an image, or a recording, is a cluster, whatever part it was drawn in."""
    held = {
        name: [dict(np.load(file_of(folder, study, name, part))) for part in parts]
        for name in (*UNIFORM, *PLANS)
    }

    def pooled(name: str, key: str) -> Any:
        return np.concatenate([one[key] for one in held[name]]).astype(float)

    clusters = Clusters.read(np.concatenate([one["cluster"] for one in held["int8"]]), 0)
    found: dict[str, Any] = {"nets": {}, "claims": []}
    for name, cells in held.items():
        found["nets"][name] = {
            "accuracy": float(pooled(name, "right").mean()),
            "cross_entropy": float(pooled(name, "loss").mean()),
            "cycles": [float(one["cycles"]) for one in cells],
            "weight_bytes": [int(one["weight_bytes"]) for one in cells],
            "widths": [one["widths"].tolist() for one in cells],
        }
    for name, (_, kind) in PLANS.items():
        loss = pooled(name, "loss") - pooled(kind, "loss")
        right = pooled(name, "right") - pooled("int8", "right")
        mean = {key: np.mean(found["nets"][name][key]) for key in ("cycles", "weight_bytes")}
        whole = {key: np.mean(found["nets"]["int8"][key]) for key in ("cycles", "weight_bytes")}
        ends = clusters.interval(loss) or (0.0, 0.0)
        points = clusters.interval_of_difference(right)
        saved = {key: float(1 - mean[key] / whole[key]) for key in mean}
        found["claims"].append(
            {
                "plan": name,
                "loss_difference": float(loss.mean()),
                "loss_interval": list(ends),
                "lower_loss": bool(ends[1] < 0),
                "accuracy_against_int8": float(right.mean()),
                "accuracy_interval": list(points),
                "saved": saved,
                "no_worse_than_int8": bool(
                    points[0] > -0.02 and (saved["cycles"] >= 0.25 or saved["weight_bytes"] >= 0.35)
                ),
            }
        )
    return found


def table(data: dict[str, Any]) -> str:
    """Markdown of a study's JSON."""
    lines = [
        f"**{data['study']}**",
        "",
        "| net | accuracy | cross-entropy | cycles | weights, bytes | widths of the first |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, net in data["nets"].items():
        cycles, weights = (np.mean(net[key]) for key in ("cycles", "weight_bytes"))
        plan = f"plan at the {name}" if name in PLANS else f"uniform {name}"
        widths = in_short(net["widths"][0]) if name in PLANS else ""
        lines.append(
            f"| {plan} | {net['accuracy']:.1%} | {net['cross_entropy']:.4f} | {cycles:,.0f} "
            f"| {weights:,.0f} | {widths} |"
        )
    lines += ["", "| plan | cross-entropy less than the uniform net's [95 %] | lower? |"]
    lines[-1] += " accuracy against int8, points [95 %] | cycles, bytes saved | no worse? |"
    lines.append("|---|---|---|---|---|---|")
    for claim in data["claims"]:
        low, high = claim["loss_interval"]
        points = [100 * value for value in claim["accuracy_interval"]]
        saved = claim["saved"]
        lines.append(
            f"| at the {claim['plan']} | {claim['loss_difference']:+.4f} [{low:+.4f}, {high:+.4f}] "
            f"| {'shown' if claim['lower_loss'] else 'not shown'} "
            f"| {100 * claim['accuracy_against_int8']:+.1f} [{points[0]:+.1f}, {points[1]:+.1f}] "
            f"| {saved['cycles']:+.0%}, {saved['weight_bytes']:+.0%} "
            f"| {'shown' if claim['no_worse_than_int8'] else 'not shown'} |"
        )
    what = "seed" if data["study"] == "digits" else "fold-seed"
    lines += [
        "",
        f"`{data['board']}`, costs modelled; {what} {', '.join(data['parts'])} pooled, intervals "
        f"over {data['clusters']}; commit {data['commit']}.",
    ]
    return "\n".join(lines)


def in_short(widths: list[str]) -> str:
    """ "int8, 3 int4, int8": runs of one width by their length."""
    runs: list[tuple[str, int]] = []
    for width in widths:
        if runs and runs[-1][0] == width:
            width, count = runs.pop()
            runs.append((width, count + 1))
        else:
            runs.append((width, 1))
    return ", ".join(f"{count} {width}" if count > 1 else width for width, count in runs)


def run(name: str, folder: Path, seeds: int, folds: list[int]) -> None:
    """Answers what is missing, then writes <study>.json."""
    sys.path.insert(0, str(HERE))
    study = importlib.import_module(f"{name}_cell")
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    bench, counts = Bench(load_board(BOARD), find_compiler("auto")), dict[str, Counted]()
    parts = list(study.parts(seeds, folds))
    for part in parts:
        files = {net: file_of(folder, name, net, part) for net in (*UNIFORM, *PLANS)}
        missing = [net for net, file in files.items() if not file.exists()]
        nets = Nets(study, part, bench, counts) if missing else None
        for net in missing:
            assert nets is not None
            np.savez(files[net], **nets.answered(net))
            print(f"{name}, {part}: {net}", file=sys.stderr, flush=True)
    facts = {"study": name, "board": BOARD, "parts": parts, "clusters": study.CLUSTERS}
    facts |= {"epochs": list(study.EPOCHS), "commit": commit_of(HERE)}
    found = json.dumps({**facts, **score(folder, name, parts)}, indent=2) + "\n"
    write_file(HERE / f"{name}.json", found.encode())


def tables() -> str:
    """Of every study that has a JSON."""
    files = [HERE / f"{name}.json" for name in STUDIES]
    return "\n\n".join(table(json.loads(file.read_text())) for file in files if file.is_file())


def main() -> int:
    """Runs a study, or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", choices=STUDIES)
    parser.add_argument("--out", type=Path, default=Path("build/plans"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--write-table", action="store_true", help="Of the JSON alone.")
    given = parser.parse_args()
    try:
        if given.study:
            run(given.study, given.out, given.seeds, given.folds)
        if given.write_table:
            write_table(README, tables())
    except EdgeqError as error:
        print(f"plans: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

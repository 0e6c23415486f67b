"""Every signal of a cascade against the cheap expert's errors: digits, from the device's integers.

    python examples/cascades/heads.py --out build/cascades/heads   # trains what is not there yet
    python examples/cascades/heads.py --write-table                # of the kept answers, in seconds

Two cheap experts, each before the full int8 network: the dense one of digits_cells.py, and an exit
behind that network's own convolutions, where a router has features to read. The heads learn on the
rows that the networks learnt on; the test rows decide nothing.
"""

import argparse
import copy
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import digits_cells as cells
import numpy as np
import torch
from answers import DROPOUT, PASSES, Cell, graph_of, keep

from edgeq import nn
from edgeq.comparing.cascades import auroc, draws
from edgeq.files import write_file
from edgeq.ops.op import Array
from edgeq.ops.signals import SIGNALS
from edgeq.reference import quantize_rows, run_all_stages
from edgeq.reporting.markdown import commit_of, write_table

HERE = Path(__file__).parent
STORED, TOLD = HERE / "heads_answers.npz", HERE / "heads.json"
EPOCHS, LR, ROUTER_HIDDEN, MEMBERS = 10, 6e-3, 16, 8
CHEAP = ("dense int8", "exit int8")
WITHOUT_ROUTER = ("dense int8",)  # its input is an image, whose mean says nothing


def cell(seed: int) -> Cell:
    """Trains one seed; every signal of the test rows, and which answers are wrong."""
    learn, _, test = cells.parts(seed)
    teacher = cells.train.precise((learn["x"], learn["y"]), seed, progress=False)
    told: Cell = {"row": test["row"]}
    for name in CHEAP:
        experts, trunk = built(name, teacher, learn, seed)
        for signal in SIGNALS:
            if signal == "router" and name in WITHOUT_ROUTER:
                continue
            model = cascade(signal, experts, trunk, learn, seed)
            graph = graph_of(model)
            x = quantize_rows(graph, test["x"].transpose(0, 2, 3, 1))
            stages = run_all_stages(graph, x)
            told[f"{name}/{signal}"] = stages.signals[:, 0]
            told[f"{name}/wrong"] = stages.outputs[:, 0].argmax(1) != test["y"]
            print(f"heads: seed {seed}: {name}, {signal}", file=sys.stderr, flush=True)
    return told


def built(
    name: str, teacher: nn.Model, learn: Cell, seed: int
) -> tuple[list[torch.nn.Module], torch.nn.Module | None]:
    """The trained experts and what they share."""
    if name == "dense int8":
        student = cells.train.taught(
            cells.train.dense("int8", seed), teacher, learn["x"], seed, progress=False
        )
        return [student.body, teacher.body], None
    layers = list(teacher.body)
    cut = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.Flatten))
    trunk, rest = nn.Sequential(*layers[:cut]), nn.Sequential(*layers[cut:])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        exit_ = nn.Sequential(nn.GlobalAvgPool(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))
    model = nn.Model(nn.Cascade([exit_, rest], trunk=trunk), cells.train.SHAPE)
    taught(model, learn, seed, [trunk, rest])
    return [exit_, rest], trunk


def cascade(
    signal: str,
    experts: Sequence[torch.nn.Module],
    trunk: torch.nn.Module | None,
    learn: Cell,
    seed: int,
) -> nn.Model:
    """The same experts under one signal; what it reads beside them is trained."""
    own = [copy.deepcopy(expert) for expert in experts]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        heads: list[torch.nn.Module] | None = None
        if signal == "router":
            heads = [nn.BayesianRouter(16, 2, (ROUTER_HIDDEN,), DROPOUT, PASSES, seed)]
        if signal == "ensemble":
            features = list(own[0])[-1].in_features
            heads = [nn.Linear(features, MEMBERS * 10, "int8")]
    shared = None if trunk is None else copy.deepcopy(trunk)
    options = {"passes": PASSES, "dropout": DROPOUT, "seed": seed}
    body = nn.Cascade(own, signal, trunk=shared, heads=heads, **options)
    model = nn.Model(body, cells.train.SHAPE, calibration=learn["x"][:200])
    if heads:
        taught(model, learn, seed, [*own, *([] if shared is None else [shared])])
    model.calibrate()
    return model


def taught(model: nn.Model, learn: Cell, seed: int, frozen: Sequence[torch.nn.Module]) -> None:
    rows = learn["x"], learn["y"]
    plan = {"epochs": EPOCHS, "lr": LR, "seed": seed, "progress": False}
    nn.fit(model, rows, augment=cells.train.shifted, freeze=frozen, **plan)


def result(kept: Cell, commit: str) -> dict[str, Any]:
    """AUROC of every signal of each cheap expert against its errors, seeds pooled in pairs."""
    seeds = kept["seeds"].tolist()
    drawn = draws(np.arange(len(kept[f"{seeds[0]}/row"])))
    table: dict[str, Any] = {}
    for name in CHEAP:
        wrong = {str(s): kept[f"{s}/{name}/wrong"] for s in seeds}
        table[name] = {}
        for signal, rule in SIGNALS.items():
            if f"{seeds[0]}/{name}/{signal}" in kept:
                sign = 1 if rule.doubt else -1
                doubt = {str(s): sign * kept[f"{s}/{name}/{signal}"] for s in seeds}
                found = auroc(doubt, wrong, {str(s): drawn for s in seeds})
                table[name][signal] = {"value": found.value, "interval": found.interval}
        table[name]["errors"] = {"wrong": found.wrong, "rows": found.rows}
    return {"commit": commit, "seeds": seeds, "signals": table}


def markdown(told: dict[str, Any]) -> str:
    lines = [
        "AUROC of each signal of the cascade against its cheap expert's errors, digits, test rows.",
        "",
        f"| cheap expert | errors | {' | '.join(f'`{s}` [95 %]' for s in SIGNALS)} |",
        f"|---|---|{'---|' * len(SIGNALS)}",
    ]
    for name, of in told["signals"].items():
        shown = [_shown(of[s]) if s in of else "-" for s in SIGNALS]
        errors = f"{of['errors']['wrong']} of {of['errors']['rows']}"
        lines.append(f"| {name} | {errors} | {' | '.join(shown)} |")
    seeds = ", ".join(map(str, told["seeds"]))
    return "\n".join([*lines, "", f"Integers of the reference, seeds {seeds}; {told['commit']}."])


def _shown(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['value']:.3f} [{low:.3f}, {high:.3f}]"


def main(argv: Sequence[str] | None = None) -> int:
    """Trains, scores and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="where trained cells stand or go")
    parser.add_argument("--write-table", action="store_true", help="into the README")
    given = parser.parse_args(argv)
    torch.set_num_threads(1)
    commit = commit_of(HERE)
    if given.out:
        kept: dict[str, Array] = {"seeds": np.array(cells.SEEDS)}
        for seed in cells.SEEDS:
            path = given.out / f"seed{seed}.npz"
            keep(path, lambda s=seed: cell(s))
            kept |= {f"{seed}/{key}": value for key, value in np.load(path).items()}
        np.savez_compressed(STORED, **kept)
    else:
        commit = json.loads(TOLD.read_text())["commit"]
    told = result(dict(np.load(STORED)), commit)
    write_file(TOLD, json.dumps(told, indent=1).encode() + b"\n")
    print(markdown(told))
    if given.write_table:
        write_table(HERE / "README.md", markdown(told), "heads")
    return 0


if __name__ == "__main__":
    sys.exit(main())

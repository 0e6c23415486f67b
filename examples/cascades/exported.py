"""One cascade of the ESC-10 study as it ships: its integers and its cycles beside what was scored.

    python examples/cascades/exported.py --cells build/cascades/esc10 --data DIR

Takes the choice of one cell, makes the cascade of its two model files, runs the integer reference
on the fold's test clips and counts every route on the virtual board. Inside a cascade both networks
share one output scale, so that logits may round otherwise than in the network alone.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import score
from answers import file_of, graph_of

import edgeq
from edgeq import nn, pipeline
from edgeq.arrays import channels_last
from edgeq.errors import EdgeqError
from edgeq.files import scratch_folder, write_file
from edgeq.reference import quantize_rows, run
from edgeq.reporting.markdown import commit_of, write_table

TOLD = score.HERE / "esc10_exported.json"
LAST = score.LAST


def compared(cells: Path, x: Any, fold: int, seed: int) -> dict[str, Any]:
    """The cascade of one cell on all its test clips, exported and as it was scored."""
    told = json.loads((score.HERE / "esc10.json").read_text())
    study = score.study_of(dict(np.load(score.HERE / "esc10_answers.npz")), told["costs"])
    cell = next(c for c in study.cells if (c.fold, c.seed) == (fold, seed))
    chosen = told["chosen"][str(fold)]
    cheap, limit = chosen["cheap"], chosen["limits"][str(seed)]
    models = [edgeq.load(cells / f"fold{fold}_seed{seed}" / file_of(n)) for n in (cheap, LAST)]
    body = nn.Cascade(models, thresholds=[limit * cell.scale[cheap]], names=("cheap", "precise"))
    made = nn.Model(body, models[0].input_shape, models[0].class_names, models[1].calibration)
    graph = graph_of(made)
    shipped = run(graph, quantize_rows(graph, channels_last(x[cell.test.row])))
    ran, cost = score.st.outcome(study, cell, cell.test, cheap, limit)
    alone = [cell.test.logits[n].argmax(-1) for n in (cheap, LAST)]
    scored = np.where(ran.went_on, alone[1], alone[0])
    with scratch_folder() as scratch:
        edgeq.save(made, scratch / "cascade.pt")
        routes = pipeline.estimate(scratch / "cascade.pt", [score.BOARD])["boards"][0]["routes"]
    y = study.y[cell.test.row]
    went_on = shipped.route == 1
    energy = np.where(went_on, routes[1]["energy_j"], routes[0]["energy_j"])
    cycles = [
        next(c["cycles"] for k, c in told["costs"].items() if k.startswith(f"{n}:"))
        for n in (cheap, LAST)
    ]
    return {
        "commit": commit_of(score.HERE),
        "fold": fold,
        "seed": seed,
        "cheap": cheap,
        "rows": len(y),
        "same_answer": int((shipped.output.argmax(1) == scored).sum()),
        "same_route": int((went_on == ran.went_on).sum()),
        "exported": {
            "accuracy": float((shipped.output.argmax(1) == y).mean()),
            "went_on": float(went_on.mean()),
            "cycles": [route["cycles"] for route in routes],
            "energy_j": float(energy.mean()),
        },
        "scored": {
            "accuracy": float(ran.right.mean()),
            "went_on": float(ran.went_on.mean()),
            "cycles": [cycles[0] + score.st.SIGNAL_CYCLES, sum(cycles) + score.st.SIGNAL_CYCLES],
            "energy_j": float(cost.mean()),
        },
    }


def markdown(told: dict[str, Any]) -> str:
    """The table of README.md."""
    lines = [
        f"Fold {told['fold']}, seed {told['seed']}: {told['cheap']}, then {LAST}; of "
        f"{told['rows']} test clips {told['same_route']} take the same route and "
        f"{told['same_answer']} get the same answer.",
        "",
        "| | accuracy | goes on | cycles, cheap alone | cycles, both | mean energy |",
        "|---|---|---|---|---|---|",
    ]
    for name, words in (("scored", "from stored answers"), ("exported", "as exported")):
        of = told[name]
        cells = (
            words,
            f"{of['accuracy']:.1%}",
            f"{of['went_on']:.1%}",
            *(f"{cycles:,}" for cycles in of["cycles"]),
            f"{1e6 * of['energy_j']:,.1f} uJ",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Modelled, virtual {score.BOARD}; commit {told['commit']}."])


def main(argv: Sequence[str] | None = None) -> int:
    """Compares, prints, writes JSON and table; returns edgeq's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=Path, default=Path("build/cascades/esc10"))
    parser.add_argument("--data", type=Path, help="folder with esc50.csv and audio/")
    parser.add_argument("--fold", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    try:
        import esc10_cells

        clips = esc10_cells.load_clips(esc10_cells.data_folder(given.data), given.cells)
        told = compared(given.cells, clips.x, given.fold, given.seed)
        write_file(TOLD, json.dumps(told, indent=1).encode() + b"\n")
        write_table(score.HERE / "README.md", markdown(told), "exported")
        print(markdown(told))
    except EdgeqError as error:
        print(f"exported: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

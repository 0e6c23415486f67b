"""Scores the cells of a study, keeps their answers beside this file, writes its table.

    python examples/cascades/score.py esc10 --cells build/cascades/esc10 --data DIR --write-table
    python examples/cascades/score.py digits --cells build/cascades/digits --write-table
    python examples/cascades/score.py esc10 --write-table      # of the kept answers, in seconds

`NAME_answers.npz` holds every network's int8 logits, `NAME.json` costs, choice and score.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cascade_table
import numpy as np
import study as st
from answers import BOARD, file_of

from edgeq import pipeline
from edgeq.board import load_board
from edgeq.errors import BadInput, EdgeqError
from edgeq.files import write_file
from edgeq.ops.op import Array
from edgeq.reporting.markdown import commit_of, write_table

HERE = Path(__file__).parent
LAST = "full int8"
ADDED = ("shallow int8",)  # after a first run without them was scored
STUDIES = ("esc10", "digits")
Arrays = dict[str, Array]


def gather(name: str, cells: Path, data: Path | None) -> tuple[Arrays, dict[str, Any]]:
    """The answers of all cells whose seed is there in every fold, and the networks' costs."""
    found = {path: dict(np.load(path)) for path in sorted(cells.glob("*seed*.npz"))}
    if not found:
        raise BadInput(f"{cells} holds no cells; run {name}_cells.py --out {cells} first")
    y, cluster, folds = _rows(name, data, cells)
    placed = {_place(path): path for path in found}
    seeds = [s for s in sorted({s for _, s in placed}) if all((f, s) in placed for f in folds)]
    kept: Arrays = {"y": y, "cluster": cluster, "cell": _cells(folds, seeds)}
    costs: dict[str, Any] = {}
    for fold, seed in kept["cell"].tolist():
        path = placed[fold, seed]
        for key, value in found[path].items():
            kept[f"{fold}/{seed}/{key}"] = value
            if key.startswith("kernels/"):
                network = key.removeprefix("kernels/")
                costs.setdefault(
                    f"{network}: {' '.join(value)}", path.with_suffix("") / file_of(network)
                )
    return kept, _costs(costs, cells / "costs.json")


def _cells(folds: Sequence[int], seeds: Sequence[int]) -> Array:
    return np.array([(f, s) for s in seeds for f in folds])


def _place(path: Path) -> tuple[int, int]:
    """(fold, seed) from a name such as fold3_seed1 or seed1, whose fold is 0."""
    fold, _, seed = path.stem.rpartition("seed")
    return int(fold.removeprefix("fold").rstrip("_") or 0), int(seed)


def _rows(name: str, data: Path | None, cache: Path) -> tuple[Array, Array, list[int]]:
    """Labels and clusters of all rows, and the folds."""
    if name == "digits":
        import digits_cells

        y = digits_cells.labels()
        return y, np.arange(len(y)), [0]
    import esc10_cells as esc10

    clips = esc10.load_clips(esc10.data_folder(data), cache)
    return clips.y, clips.source, list(esc10.FOLDS)


def _costs(models: dict[str, Path], known: Path) -> dict[str, Any]:
    """Of each combination of network and kernels; what was estimated before is in `known`."""
    told: dict[str, Any] = json.loads(known.read_text()) if known.is_file() else {}
    for key, model in models.items():
        if key not in told:
            told[key] = _cost(model)
            write_file(known, json.dumps(told, indent=1).encode())
    return {key: told[key] for key in models}


def _cost(model: Path) -> dict[str, Any]:
    """Of one inference of a model file on the virtual board."""
    print(f"score: {model} on {BOARD}", file=sys.stderr, flush=True)
    entry = pipeline.estimate(model, [BOARD])["boards"][0]
    route = entry["routes"][0]
    told = {key: route[key] for key in ("cycles", "latency_s", "energy_j", "energy_band_j")}
    same = ("flash_bytes", "ram_bytes", "compiler", "flags", "source", "rules", "energy_kind")
    return told | {key: entry[key] for key in same}


def study_of(kept: Arrays, costs: dict[str, Any]) -> st.Study:
    """The stored answers as a study."""
    networks = [*dict.fromkeys(key.partition(": ")[0] for key in costs)]
    return st.Study(
        kept["y"],
        kept["cluster"],
        tuple(networks),
        LAST,
        st.SIGNAL_CYCLES * _joules_a_cycle(),
        tuple(_cell(kept, costs, networks, fold, seed) for fold, seed in kept["cell"].tolist()),
    )


def _joules_a_cycle() -> float:
    energy = load_board(BOARD).energy
    assert energy is not None  # the board was chosen for its figures
    return energy.nj_per_cycle * 1e-9


def _cell(
    kept: Arrays, costs: dict[str, Any], networks: list[str], fold: int, seed: int
) -> st.Trained:
    at = f"{fold}/{seed}"

    def part(name: str) -> st.Part:
        logits, mc = (
            {n: kept[f"{at}/{name}/{n}/{what}"] for n in networks} for what in ("logits", "mc")
        )
        return st.Part(kept[f"{at}/{name}/row"], logits, mc)

    def energy(network: str) -> float:
        kernels = " ".join(kept[f"{at}/kernels/{network}"])
        return float(costs[f"{network}: {kernels}"]["energy_j"])

    scale = {n: float(kept[f"{at}/scale/{n}"]) for n in networks}
    return st.Trained(
        fold, seed, part("held"), part("test"), scale, {n: energy(n) for n in networks}
    )


def report(study: st.Study, costs: dict[str, Any], name: str, commit: str) -> dict[str, Any]:
    """Choice first, then the score; as plain data."""
    chosen = st.choose(study)
    first = replace(study, networks=tuple(n for n in study.networks if n not in ADDED))
    return {
        "study": name,
        "commit": commit,
        "board": BOARD,
        "last": study.last,
        "budget": st.BUDGET,
        "seed_numbers": sorted({cell.seed for cell in study.cells}),
        "folds": sorted({cell.fold for cell in study.cells}),
        "costs": costs,
        "chosen": _plain(chosen),
        **st.scored(study, chosen),
        "signals": st.signals(study),
        "curve": st.curve(study),
        "first_run": _first_run(first) if first.networks != study.networks else None,
    }


def _plain(chosen: Mapping[int, st.Choice]) -> dict[str, Any]:
    return {
        str(fold): {
            "cheap": c.cheap,
            "share": c.share,
            "limits": {str(seed): limit for seed, limit in c.limits.items()},
            "held_accuracy": c.held_accuracy,
            "held_energy": c.held_energy,
        }
        for fold, c in chosen.items()
    }


def _first_run(study: st.Study) -> dict[str, Any]:
    """Choice and claims from the networks of before the others were added."""
    chosen = st.choose(study)
    told = st.scored(study, chosen)
    kept = ("escalated", "difference", "saving", "below_front", "a_shown", "b_shown")
    return {"chosen": _plain(chosen), **{key: told[key] for key in kept}}


def main(argv: Sequence[str] | None = None) -> int:
    """Scores and prints; returns edgeq's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--cells", type=Path, help="take the answers of these cells, and keep them")
    parser.add_argument("--data", type=Path, help="ESC-10's folder, with --cells")
    parser.add_argument("--write-table", action="store_true", help="into the README")
    given = parser.parse_args(argv)
    stored, told = HERE / f"{given.study}_answers.npz", HERE / f"{given.study}.json"
    try:
        if given.cells:
            kept, costs = gather(given.study, given.cells, given.data)
            np.savez_compressed(stored, **kept)
            commit = commit_of(HERE)
        else:
            before = json.loads(told.read_text())
            kept, costs, commit = dict(np.load(stored)), before["costs"], before["commit"]
        result = report(study_of(kept, costs), costs, given.study, commit)
        write_file(told, json.dumps(result, indent=1).encode() + b"\n")
        print(cascade_table.markdown(result))
        if given.write_table:
            write_table(HERE / "README.md", cascade_table.markdown(result), given.study)
    except EdgeqError as error:
        print(f"score: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

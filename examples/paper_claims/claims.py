"""Each claim of arXiv 2511.11743 beside what the stored answers and the virtual board say of it.

python examples/paper_claims/claims.py --cells build/paper_claims --write-table
python examples/paper_claims/claims.py --write-table       # of the kept answers, in seconds
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "cascades"))
import score

from edgeq import pipeline
from edgeq.board import load_board
from edgeq.comparing.cascades import draws, interval
from edgeq.comparing.significance import brown_forsythe
from edgeq.errors import BadInput, EdgeqError
from edgeq.files import write_file
from edgeq.ops.op import Array
from edgeq.reporting.markdown import commit_of, write_table

HERE, CASCADES = Path(__file__).parent, score.HERE
ANSWERS, TOLD = HERE / "claims_answers.npz", HERE / "claims.json"
RULES = ("off", "precision_prior", "precision_prior 8", "escalation")
FEW, MANY, FLOAT, CURIOUS = "half int4", "half int8", "half float", "mixture precision_prior"
RESAMPLES = 2_000


def gather(cells: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """The answers of the claim cells that the study of cascades kept too, and mixtures' costs."""
    studied = np.load(CASCADES / "esc10_answers.npz")["cell"].tolist()
    kept: dict[str, Array] = {"cell": np.array(studied)}
    costs: dict[str, Any] = {}
    for fold, seed in studied:
        path = cells / f"fold{fold}_seed{seed}.npz"
        if not path.is_file():
            raise BadInput(f"{path} is missing; run claim_cells.py --out {cells} first")
        for key, value in np.load(path).items():
            if key.startswith("kernels/"):
                rule = key.removeprefix("kernels/")
                costs.setdefault(
                    f"{rule}: {' '.join(value)}", path.with_suffix("") / score.file_of(rule)
                )
            kept[f"{fold}/{seed}/{key}"] = value
    return kept, {key: _routes(model) for key, model in costs.items()}


def _routes(model: Path) -> dict[str, Any]:
    print(f"claims: {model} on {score.BOARD}", file=sys.stderr, flush=True)
    entry = pipeline.estimate(model, [score.BOARD])["boards"][0]
    routes = {r["name"]: {k: r[k] for k in ("cycles", "energy_j")} for r in entry["routes"]}
    return {"routes": routes, "rules": entry["rules"], "source": entry["source"]}


class Inferences:
    """Every test inference: arrays (seed, row) of each network's answer, and what it cost."""

    def __init__(self, kept: dict[str, Array], costs: dict[str, Any]) -> None:
        stored = dict(np.load(CASCADES / "esc10_answers.npz"))
        study = json.loads((CASCADES / "esc10.json").read_text())
        singles = score.study_of(stored, study["costs"])
        self.y, self.cluster = singles.y, singles.cluster
        self.seeds = sorted({seed for _, seed in kept["cell"].tolist()})
        names = (FEW, MANY, FLOAT, *(f"mixture {rule}" for rule in RULES), "cascade")
        shape = (len(self.seeds), len(self.y))
        self.answer = {name: np.full(shape, -1) for name in names}
        self.joules = {name: np.full(shape, np.nan) for name in names if name != FLOAT}
        self.cycles = {f"mixture {rule}": np.full(shape, np.nan) for rule in RULES}
        for cell in singles.cells:
            self._singles(singles, cell, study["chosen"][str(cell.fold)])
            self._mixtures(kept, costs, cell)

    def _singles(self, study: Any, cell: Any, chosen: dict[str, Any]) -> None:
        at = self.seeds.index(cell.seed), cell.test.row
        for name in (FEW, MANY):
            self.answer[name][at] = cell.test.logits[name].argmax(-1)
            self.joules[name][at] = cell.energy[name]
        limit = chosen["limits"][str(cell.seed)]
        ran, cost = score.st.outcome(study, cell, cell.test, chosen["cheap"], limit)
        cheap, last = (cell.test.logits[n].argmax(-1) for n in (chosen["cheap"], study.last))
        self.answer["cascade"][at] = np.where(ran.went_on, last, cheap)
        self.joules["cascade"][at] = cost

    def _mixtures(self, kept: dict[str, Array], costs: dict[str, Any], cell: Any) -> None:
        at, key = (self.seeds.index(cell.seed), cell.test.row), f"{cell.fold}/{cell.seed}"
        if not np.array_equal(kept[f"{key}/row"], cell.test.row):
            raise BadInput(f"cell {key} has other test rows than the study's; compute both again")
        self.answer[FLOAT][at] = kept[f"{key}/{FLOAT}/logits"].argmax(-1)
        for rule in RULES:
            name = f"mixture {rule}"
            known = costs[f"{rule}: {' '.join(kept[f'{key}/kernels/{rule}'])}"]["routes"]
            routes = list(known.values())
            route = kept[f"{key}/{name}/route"]
            self.answer[name][at] = kept[f"{key}/{name}/logits"].argmax(-1)
            self.joules[name][at] = np.array([r["energy_j"] for r in routes])[route]
            self.cycles[name][at] = np.array([r["cycles"] for r in routes])[route]


def macro_f1(answer: Array, y: Array, weights: Array) -> Array:
    """Of answers (seed, row) under each weighting (resample, row), mean over seeds: (resample,)."""
    of_seeds = []
    for row in answer:
        f1 = []
        for label in np.unique(y):
            hit, said, is_it = (row == label) & (y == label), row == label, y == label
            hits, both = weights @ hit, weights @ said + weights @ is_it
            f1.append(np.where(both > 0, 2 * hits / np.maximum(both, 1e-9), 0.0))
        of_seeds.append(np.mean(f1, axis=0))
    return np.asarray(np.mean(of_seeds, axis=0))


def mean(values: Array, weights: Array) -> Array:
    """Of (seed, row) under each weighting: (resample,)."""
    return np.asarray(weights @ values.mean(0) / weights.sum(1))


def spread(values: Array, weights: Array) -> Array:
    """Standard deviation of all inferences (seed, row) under each weighting: (resample,)."""
    centre = mean(values, weights)
    return np.sqrt(np.maximum(mean(values**2, weights) - centre**2, 0.0))


def claims(ran: Inferences) -> dict[str, Any]:
    """Every figure with its interval over recordings."""
    drawn = draws(ran.cluster, RESAMPLES)
    weights = np.vstack([np.ones(len(ran.y)), drawn])
    f1 = {name: macro_f1(answer, ran.y, weights) for name, answer in ran.answer.items()}
    joules = {name: mean(value, weights) for name, value in ran.joules.items()}
    board = load_board(score.BOARD)
    assert board.energy is not None  # the board was chosen for its figures
    hertz, joules_per_ms = board.clock_hz, board.energy.nj_per_cycle * 1e-12 * board.clock_hz
    latency = {name: 1e3 * value / hertz for name, value in ran.cycles.items()}
    std = {name: spread(value, weights) for name, value in latency.items()}
    figures = {
        "f1_difference": f1[FEW] - f1[FLOAT],
        "four_bits_save": 1 - joules[FEW] / joules[MANY],
        "overhead_few": joules[CURIOUS] / joules[FEW] - 1,
        "overhead_many": joules[CURIOUS] / joules[MANY] - 1,
        "mixture_f1_gain": f1[CURIOUS] - f1[MANY],
    }
    figures |= {f"latency_ms {name}": value / joules_per_ms for name, value in joules.items()}
    figures |= {f"f1 {name}": value for name, value in f1.items()}
    figures |= {f"f1_per_mj {name}": f1[name] / (1e3 * value) for name, value in joules.items()}
    off = std["mixture off"]
    told: dict[str, Any] = {name: _with_ends(value) for name, value in figures.items()}
    told["spread"] = {
        name: {"std_ms": float(value[0]), "std_ratio": _with_ends(value / np.maximum(off, 1e-12))}
        | _tested(latency["mixture off"], latency[name])
        for name, value in std.items()
    }
    return told


def _tested(off: Array, curious: Array) -> dict[str, Any]:
    """Brown-Forsythe of all inferences, seeds pooled."""
    found = brown_forsythe(off.ravel(), curious.ravel())
    return {"brown_forsythe": found.statistic, "p": found.p}


def _with_ends(drawn: Array) -> dict[str, Any]:
    return {"value": float(drawn[0]), "interval": interval(drawn[1:])}


def markdown(told: dict[str, Any]) -> str:
    """The table of README.md."""
    c = told["claims"]

    def said(key: str, times: float = 1.0, spec: str = ".3f", unit: str = "") -> str:
        low, high = (f"{end * times:{spec}}" for end in c[key]["interval"])
        return f"{c[key]['value'] * times:{spec}}{unit} [{low}, {high}]"

    def each(key: str, unit: str = "") -> str:
        of = [f"{n}: {said(f'{key} {n}', 1, '.2f', unit)}" for n in (FEW, MANY, CURIOUS, "cascade")]
        return f"{'; '.join(of)}; modelled"

    rows = [
        (
            "4 bits answer as 16 do",
            "F1 0.858 against 0.859",
            f"F1 {said(f'f1 {FEW}')} against {said(f'f1 {FLOAT}')} in float; "
            f"difference {said('f1_difference', 1, '+.3f')}",
        ),
        (
            "4 bits take less energy than 8",
            "41 % less",
            f"{said('four_bits_save', 100, '+.1f', ' %')} less, modelled",
        ),
        (
            "curiosity steadies latency (alpha 1, 8; escalation)",
            "std 230 to 29 ms, p 0.008",
            "; ".join(_spreads(c["spread"])) + "; modelled",
        ),
        (
            "latency an inference",
            "a fold's wall time on a laptop, divided by five",
            each("latency_ms", " ms"),
        ),
        (
            "a mixture costs more and answers no better",
            "11 % latency, no accuracy",
            f"energy {said('overhead_few', 100, '+.1f', ' %')} over int4, "
            f"{said('overhead_many', 100, '+.1f', ' %')} over int8, modelled; "
            f"F1 less int8's {said('mixture_f1_gain', 1, '+.3f')}",
        ),
        (
            "F1 per mJ",
            "3.87 (another machine)",
            each("f1_per_mj"),
        ),
    ]
    lines = ["| claim | the paper | here [95 %] |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), "", _setting(told)])


def _spreads(of_rules: dict[str, Any]) -> list[str]:
    told = []
    for name, of in of_rules.items():
        low, high = of["std_ratio"]["interval"]
        ratio = f"{of['std_ratio']['value']:.2f} [{low:.2f}, {high:.2f}]"
        rule = name.removeprefix("mixture ")
        told.append(f"{rule}: std {of['std_ms']:.3f} ms, {ratio} of off, p {of['p']:.2g}")
    return told


def _setting(told: dict[str, Any]) -> str:
    return (
        f"ESC-10's five official folds, seeds {', '.join(map(str, told['seeds']))}; intervals over "
        f"recordings, seeds averaged. Latency and energy are modelled, on the virtual "
        f"{told['board']}. Computed at commit {told['commit']}."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Computes and prints; returns edgeq's exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=Path, help="take the answers of these, and keep them")
    parser.add_argument("--write-table", action="store_true", help="into the README")
    given = parser.parse_args(argv)
    try:
        if given.cells:
            kept, costs = gather(given.cells)
            np.savez_compressed(ANSWERS, **kept)
            commit = commit_of(HERE)
        else:
            before = json.loads(TOLD.read_text())
            kept, costs, commit = dict(np.load(ANSWERS)), before["costs"], before["commit"]
        ran = Inferences(kept, costs)
        told = {"commit": commit, "board": score.BOARD, "seeds": ran.seeds, "costs": costs}
        told["claims"] = claims(ran)
        write_file(TOLD, json.dumps(told, indent=1).encode() + b"\n")
        print(markdown(told))
        if given.write_table:
            write_table(HERE / "README.md", markdown(told))
    except EdgeqError as error:
        print(f"claims: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The study: a cascade is chosen on held-out rows, then scored on test rows, once.

`choose` sees held-out rows alone. `scored` takes what it chose and sees the test rows. Networks'
answers and costs are stored, so both are a matter of seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeq.comparing.cascades import (
    CONFIDENCE,
    Outcome,
    auroc,
    draws,
    entropy,
    front_cost,
    gap,
    interval,
    limit_for,
    means,
    probabilities,
)
from edgeq.ops.op import Array
from edgeq.thresholds.risk import ends_of_few

SIGNAL_CYCLES = 200  # what the gap may cost at most
BUDGET = 0.55  # of the last stage's energy: the promise is 0.6, and shares drift
SHARES = tuple(share / 20 for share in range(1, 13))
LEAST_SAVING, LEAST_DIFFERENCE, LEAST_BELOW_FRONT = 0.40, -0.015, 0.20


@dataclass(frozen=True)
class Part:
    """Rows that no training saw: their numbers, and each network's answers."""

    row: Array  # (row,)
    logits: Mapping[str, Array]  # int8 (row, class)
    mc: Mapping[str, Array]  # (row,)


@dataclass(frozen=True)
class Trained:
    """One cell. `scale` of the logits and `energy` in J an inference, of each network."""

    fold: int
    seed: int
    held: Part
    test: Part
    scale: Mapping[str, float]
    energy: Mapping[str, float]


@dataclass(frozen=True)
class Study:
    """All cells. `last` is the network that every cascade ends in."""

    y: Array  # (row,)
    cluster: Array  # (row,): rows of one recording are no independent evidence
    networks: tuple[str, ...]
    last: str
    signal_energy: float
    cells: tuple[Trained, ...]

    def folds(self) -> dict[int, list[Trained]]:
        """The cells of each fold."""
        return {
            f: [c for c in self.cells if c.fold == f] for f in sorted({c.fold for c in self.cells})
        }


@dataclass(frozen=True)
class Choice:
    """The cascade of one fold: its first network and the share of rows that it sends on."""

    cheap: str
    share: float
    limits: Mapping[int, int]  # of each seed: a quantile of its held-out rows
    held_accuracy: float
    held_energy: float  # of the last stage's


def choose(study: Study) -> dict[int, Choice]:
    """For each fold the most accurate cascade on its held-out rows that keeps to BUDGET.

    Of equally accurate ones the cheaper. Labels and answers of test rows are not looked at.
    """
    chosen = {}
    for fold, cells in study.folds().items():
        cheaper = [name for name in study.networks if name != study.last]
        found = [candidate(study, cells, name, share) for name in cheaper for share in SHARES]
        allowed = [c for c in found if c.held_energy <= BUDGET]
        chosen[fold] = max(allowed, key=lambda c: (c.held_accuracy, -c.held_energy))
    return chosen


def candidate(study: Study, cells: Sequence[Trained], cheap: str, share: float) -> Choice:
    """That cascade on the held-out rows of these cells."""
    limits, right, energy = {}, [], []
    for cell in cells:
        limits[cell.seed] = limit_for(gap(cell.held.logits[cheap]), share)
        ran, cost = outcome(study, cell, cell.held, cheap, limits[cell.seed])
        right.append(ran.right)
        energy.append(cost / cell.energy[study.last])
    rows = np.concatenate(right), np.concatenate(energy)
    return Choice(cheap, share, limits, float(rows[0].mean()), float(rows[1].mean()))


def outcome(
    study: Study, cell: Trained, part: Part, cheap: str, limit: int
) -> tuple[Outcome, Array]:
    """What the cascade does on a part, and the J of each row."""
    y = study.y[part.row]
    ran = Outcome.of(part.logits[cheap], part.logits[study.last], y, limit)
    return ran, ran.cost(cell.energy[cheap], cell.energy[study.last], study.signal_energy)


def scored(study: Study, chosen: Mapping[int, Choice]) -> dict[str, Any]:
    """Accuracy and energy of every network and of the chosen cascade, seeds averaged in a row."""
    names = [*study.networks, "cascade"]
    seeds = len({cell.seed for cell in study.cells})
    right, energy = np.zeros((2, len(study.y), len(names)))
    went_on, seen = np.zeros(len(study.y)), np.zeros(len(study.y), int)
    for cell in study.cells:
        row, y = cell.test.row, study.y[cell.test.row]
        for i, name in enumerate(study.networks):
            right[row, i] += (cell.test.logits[name].argmax(-1) == y) / seeds
            energy[row, i] += cell.energy[name] / seeds
        choice = chosen[cell.fold]
        ran, cost = outcome(study, cell, cell.test, choice.cheap, choice.limits[cell.seed])
        right[row, -1] += ran.right / seeds
        energy[row, -1] += cost / seeds
        went_on[row] += ran.went_on / seeds
        seen[row] += 1
    tested = seen == seeds
    weights = draws(study.cluster[tested])
    values = np.stack([right[tested], energy[tested]], axis=2)
    clusters = len(np.unique(study.cluster[tested]))
    return {
        "test_rows": int(tested.sum()),
        "clusters": clusters,
        "seeds": seeds,
        "escalated": float(went_on[tested].mean()),
        "networks": _figures(names, values, weights),
        **_claims(study, names, values, weights, clusters),
    }


def _figures(names: Sequence[str], values: Array, weights: Array) -> dict[str, Any]:
    point, drawn = values.mean(0), means(values, weights)
    return {
        name: {
            "accuracy": float(point[i, 0]),
            "accuracy_interval": interval(drawn[:, i, 0]),
            "energy_j": float(point[i, 1]),
            "energy_interval_j": interval(drawn[:, i, 1]),
        }
        for i, name in enumerate(names)
    }


def _claims(
    study: Study, names: Sequence[str], values: Array, weights: Array, clusters: int
) -> dict[str, Any]:
    """(a) against the last stage, (b) against the front of all single networks."""
    last = names.index(study.last)
    point, drawn = values.mean(0)[None], means(values, weights)

    def difference(m: Array) -> Array:
        return np.asarray(m[:, -1, 0] - m[:, last, 0])

    def saving(m: Array) -> Array:
        return np.asarray(1 - m[:, -1, 1] / m[:, last, 1])

    def below(m: Array) -> Array:
        front = [front_cost(one[:-1, 0], one[:-1, 1], one[-1, 0]) for one in m]
        return np.asarray(1 - m[:, -1, 1] / np.array(front))

    told = {
        name: {"value": float(of(point)[0]), "interval": interval(of(drawn))}
        for name, of in (("difference", difference), ("saving", saving), ("below_front", below))
    }
    if not np.any(values[:, -1, 0] - values[:, last, 0]):
        told["difference"]["interval"] = ends_of_few(0, 0, clusters, CONFIDENCE)
    # rows that were scored before: Bonferroni's share of the error for each of two looks
    told["difference_of_two_looks"] = {
        "value": told["difference"]["value"],
        "interval": interval(difference(drawn), 1.0 - (1.0 - CONFIDENCE) / 2),
    }
    cheap_enough = told["saving"]["value"] >= LEAST_SAVING
    good_enough = told["difference"]["interval"][0] > LEAST_DIFFERENCE
    told["a_shown"] = cheap_enough and good_enough
    told["b_shown"] = told["below_front"]["value"] >= LEAST_BELOW_FRONT
    return told


def signals(study: Study) -> dict[str, dict[str, Any]]:
    """AUROC of every signal of every network's answer against that answer's error, test rows."""
    drawn = draws(study.cluster)
    weights = {_key(cell): drawn[:, cell.test.row] for cell in study.cells}
    table: dict[str, dict[str, Any]] = {}
    for name in study.networks:
        wrong = {
            _key(c): c.test.logits[name].argmax(-1) != study.y[c.test.row] for c in study.cells
        }
        table[name] = {}
        for signal in SIGNALS:
            doubt = {_key(c): SIGNALS[signal](c, name) for c in study.cells}
            found = auroc(doubt, wrong, weights)
            table[name][signal] = {"value": found.value, "interval": found.interval}
        table[name]["errors"] = {"wrong": found.wrong, "rows": found.rows}
    return table


def _key(cell: Trained) -> str:
    return f"{cell.fold}/{cell.seed}"


def _p(cell: Trained, name: str) -> Array:
    return probabilities(cell.test.logits[name], cell.scale[name])


SIGNALS = {
    "gap": lambda c, name: -gap(c.test.logits[name]),
    "entropy": lambda c, name: entropy(_p(c, name)),
    "1 - p_max": lambda c, name: 1 - _p(c, name).max(-1),
    "Monte Carlo dropout of the head": lambda c, name: c.test.mc[name],
}


def curve(study: Study) -> dict[str, list[dict[str, float]]]:
    """Each cheap network, each share, thresholds from held-out rows: what the test rows say of
    cascades that were not chosen. Mean over cells."""
    told = {}
    for cheap in (name for name in study.networks if name != study.last):
        told[cheap] = []
        for share in SHARES:
            cells = [_on_test(study, cell, cheap, share) for cell in study.cells]
            accuracy, energy, went_on = np.mean(cells, axis=0).tolist()
            point = {"share": share, "accuracy": accuracy, "energy_j": energy, "went_on": went_on}
            told[cheap].append(point)
    return told


def _on_test(study: Study, cell: Trained, cheap: str, share: float) -> tuple[float, float, float]:
    limit = limit_for(gap(cell.held.logits[cheap]), share)
    ran, cost = outcome(study, cell, cell.test, cheap, limit)
    return float(ran.right.mean()), float(cost.mean()), float(ran.went_on.mean())

"""`edgeq compare`: what changed from run A to run B, each metric with its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.comparing import bootstrap
from edgeq.comparing.fail_if import apply_rules, parse_rule
from edgeq.comparing.pairs import Pairs, pair
from edgeq.comparing.significance import brown_forsythe, mcnemar
from edgeq.comparing.studies import compare_studies
from edgeq.errors import Mismatch
from edgeq.extras import needs
from edgeq.harness.manifest import ports_of
from edgeq.harness.profile_summary import EnergyFigures, Summary
from edgeq.harness.trace import Run
from edgeq.ops.op import Array
from edgeq.reporting.energy_words import energy_words
from edgeq.reporting.run import finished_run, joules_per_cycle
from edgeq.reporting.study import is_study, read_study

LEVEL = 0.05
NO_DIFFERENCE = "no difference shown"
TIMES: Mapping[str, bootstrap.Statistic] = {
    "latency": bootstrap.mean,
    "p50": bootstrap.quantile(0.50),
    "p95": bootstrap.quantile(0.95),
    "p99": bootstrap.quantile(0.99),
}
SIZES = {"flash": "flash_bytes", "ram": "ram_bytes"}
IDENTITY = ("model", "board", "evidence", "compiler", "flags", "clock_hz", "firmware_digest")


@dataclass(frozen=True)
class Side:
    """A run and its summary."""

    run: Run
    summary: Summary

    @property
    def samples(self) -> int:
        return len(self.run.records)

    @property
    def counts_cycles(self) -> bool:
        return self.summary.counts_cycles


@needs("report", "a comparison")
def compare(a: str | Path, b: str | Path, fail_if: Sequence[str] = ()) -> dict[str, Any]:
    """What run B changes against run A, input by input; the object of `edgeq compare --json`.

    Every change is a fraction of A: 0.05 is 5 % more (accuracy: 5 points more). Two studies (of
    plan, inspect, pareto, search) are compared row by row. Raises BadInput for a rule that cannot
    be read, a folder without a run, or runs of different data.
    """
    if is_study(Path(a)) and is_study(Path(b)):
        return compare_studies(read_study(Path(a)), read_study(Path(b)), fail_if)
    rules = tuple(parse_rule(text) for text in fail_if)
    ours, theirs = Side(*finished_run(a)), Side(*finished_run(b))
    pairs = pair(ours.run, theirs.run)
    metrics = [*_times(ours, theirs, pairs), *_scores(ours, theirs, pairs), *_sizes(ours, theirs)]
    changes = {m["name"]: m["change"] for m in metrics}
    return {
        "a": _side(ours),
        "b": _side(theirs),
        "pairs": pairs.count,
        "confidence": bootstrap.CONFIDENCE,
        "resamples": bootstrap.RESAMPLES,
        "seed": bootstrap.SEED,
        "metrics": metrics,
        "routes_changed": int((pairs.route_a != pairs.route_b).sum()),
        "fail_if": apply_rules(rules, changes),
        "notes": _notes(ours, theirs, pairs),
    }


def refuse_failures(result: dict[str, Any]) -> None:
    """Raises Mismatch when a --fail-if rule holds."""
    held = [r for r in result["fail_if"] if r["holds"]]
    if held:
        found = ", ".join(f"{r['rule']} (measured {r['change']:+.2%})" for r in held)
        raise Mismatch(f"{result['b']['folder']} against {result['a']['folder']}: {found}")


def _side(side: Side) -> dict[str, Any]:
    summary = side.summary
    facts = {key: getattr(summary, key) for key in IDENTITY}
    alone = {
        "alone": None if summary.alone is None else summary.alone.model_dump(mode="json"),
        "signals": [signal.model_dump(mode="json") for signal in summary.signals],
    }
    return {"folder": str(side.run.folder), "samples": side.samples} | facts | alone


def _times(a: Side, b: Side, pairs: Pairs) -> list[dict[str, Any]]:
    """Latency, its quantiles and spread, and energy; nothing where a side counts no cycles."""
    if not (a.counts_cycles and b.counts_cycles):
        return []
    per_ms_a, per_ms_b = a.summary.clock_hz / 1e3, b.summary.clock_hz / 1e3
    left, right = pairs.cycles_a / per_ms_a, pairs.cycles_b / per_ms_b
    cycle_ms = 1 / min(per_ms_a, per_ms_b)
    kinds = {side.summary.latency.source for side in (a, b)}
    ends = bootstrap.ratio_intervals(left, right, {**TIMES, "spread": bootstrap.deviation})
    metrics = [
        _ratio(name, "ms", _values(of, left, right), ends[name], cycle_ms, kinds)
        for name, of in TIMES.items()
    ]
    return [*metrics, _spread(left, right, ends["spread"], cycle_ms, kinds), *_energy(a, b, pairs)]


def _values(statistic: bootstrap.Statistic, a: Array, b: Array) -> tuple[float, float]:
    return float(statistic(a)), float(statistic(b))


def _ratio(
    name: str,
    unit: str,
    values: tuple[float, float],
    ends: bootstrap.Ends | None,
    step: float,
    sources: set[str],
) -> dict[str, Any]:
    """A metric whose interval of B / A must leave out 1, and that must change by a `step`."""
    a, b = values
    ratio = b / a if a else None
    shown = ends is not None and not ends[0] <= 1 <= ends[1] and abs(b - a) >= step
    return {
        "name": name,
        "unit": unit,
        "source": " / ".join(sorted(sources)),
        "a": a,
        "b": b,
        "change": None if ratio is None else ratio - 1,
        "ratio": ratio,
        "interval": None if ends is None else list(ends),
        "test": "bootstrap",
        "p": None,
        "shown": shown,
        "verdict": _verdict(ratio, shown, "more", "less"),
    }


def _verdict(ratio: float | None, shown: bool, more: str, less: str) -> str:
    if not shown or ratio is None:
        return NO_DIFFERENCE
    return f"B takes {abs(ratio - 1):.2%} {more if ratio > 1 else less}"


def _spread(
    a: Array, b: Array, ends: bootstrap.Ends | None, step: float, sources: set[str]
) -> dict[str, Any]:
    """The standard deviation; Brown-Forsythe decides."""
    metric = _ratio("spread", "ms", _values(bootstrap.deviation, a, b), ends, step, sources)
    test = brown_forsythe(a, b)
    shown = test.p < LEVEL and abs(metric["b"] - metric["a"]) >= step
    wider = "wider" if metric["b"] > metric["a"] else "narrower"
    return metric | {
        "test": "Brown-Forsythe",
        "statistic": test.statistic,
        "p": test.p,
        "shown": shown,
        "verdict": f"B spreads {wider}" if shown else NO_DIFFERENCE,
    }


def _energy(a: Side, b: Side, pairs: Pairs) -> list[dict[str, Any]]:
    """Of a model a value an input, resampled; of a meter its windows: their ranges must part."""
    ours, theirs = a.summary.energy, b.summary.energy
    if ours.joules_mean is None or theirs.joules_mean is None:
        return []
    sources = {energy_words(e.source, e.kind) for e in (ours, theirs)}
    if ours.windows is not None or theirs.windows is not None:
        return [_windows(ours, theirs, sources)]
    per_a, per_b = (joules_per_cycle(side.run, side.summary) for side in (a, b))
    left, right = pairs.cycles_a * per_a, pairs.cycles_b * per_b
    ends = bootstrap.ratio_intervals(left, right, {"energy": bootstrap.mean})["energy"]
    values = _values(bootstrap.mean, left, right)
    return [_ratio("energy", "J", values, ends, max(per_a, per_b), sources)]


def _windows(ours: EnergyFigures, theirs: EnergyFigures, sources: set[str]) -> dict[str, Any]:
    means = ours.joules_mean or 0.0, theirs.joules_mean or 0.0
    metric = _ratio("energy", "J", means, None, 0, sources)
    (low_a, high_a), (low_b, high_b) = ours.band or (0, 0), theirs.band or (0, 0)
    shown = high_a < low_b or high_b < low_a
    verdict = _verdict(metric["ratio"], shown, "more", "less")
    return metric | {"test": "ranges of the windows", "shown": shown, "verdict": verdict}


def _scores(a: Side, b: Side, pairs: Pairs) -> list[dict[str, Any]]:
    """Accuracy, where both are classifiers: other models' labels are no answers."""
    known = all(side.summary.accuracy is not None for side in (a, b))
    return [_accuracy(pairs)] if known else []


def _accuracy(pairs: Pairs) -> dict[str, Any]:
    """Its change in points; McNemar decides by the inputs that one side alone gets right."""
    only_a = int((pairs.right_a & ~pairs.right_b).sum())
    only_b = int((pairs.right_b & ~pairs.right_a).sum())
    a, b = float(pairs.right_a.mean()), float(pairs.right_b.mean())
    p = mcnemar(only_a, only_b).p
    change = (only_b - only_a) / pairs.count
    points = f"{'more' if change > 0 else 'less'} accurate by {abs(change) * 100:.2f} points"
    return {
        "name": "accuracy",
        "unit": "share",
        "source": "answers of the board",
        "a": a,
        "b": b,
        "change": change,
        "ratio": None,
        "interval": None,
        "test": "McNemar, exact",
        "only_a_right": only_a,
        "only_b_right": only_b,
        "p": p,
        "shown": p < LEVEL,
        "verdict": f"B is {points}" if p < LEVEL else NO_DIFFERENCE,
    }


def _sizes(a: Side, b: Side) -> list[dict[str, Any]]:
    """Bytes are exact: any change is one. Nothing of a firmware built elsewhere."""
    metrics = []
    for name, key in SIZES.items():
        old, new = (getattr(side.run.manifest.firmware, key) for side in (a, b))
        if old is None or new is None:
            continue
        ratio = new / old if old else None
        metric = _ratio(name, "B", (old, new), None, 1, {"linker"})
        shown = {"shown": old != new, "verdict": _size_verdict(old, new, ratio)}
        metrics.append(metric | {"test": "exact"} | shown)
    return metrics


def _size_verdict(old: int, new: int, ratio: float | None) -> str:
    if old == new:
        return "the same"
    share = "" if ratio is None else f" ({ratio - 1:+.2%})"
    return f"B takes {abs(new - old):,} B {'more' if new > old else 'less'}{share}"


def _notes(a: Side, b: Side, pairs: Pairs) -> list[str]:
    notes = []
    for side in (a, b):
        folder = side.run.folder
        if pairs.count < side.samples:
            left = side.samples - pairs.count
            notes.append(f"{left} of {side.samples} inputs of {folder} have no partner")
        if not side.counts_cycles:
            notes.append(f"{folder}: {side.summary.board} counts no cycles: no latency")
        elif side.summary.energy.joules_mean is None:
            notes.append(f"{folder}: no energy figures")
        if side.run.manifest.firmware.flash_bytes is None:
            notes.append(f"{folder}: firmware not built from its export: no sizes")
    facts_a, facts_b = _side(a), _side(b)
    apart = [k for k in ("board", "compiler", "flags", "clock_hz") if facts_a[k] != facts_b[k]]
    if apart:
        notes.append(f"the runs differ in {', '.join(apart)} beside the model")
    if np.array_equal(pairs.cycles_a, pairs.cycles_b) and a.counts_cycles and b.counts_cycles:
        notes.append("both runs took the same cycles on every input")
    return [*notes, *_ports(a, b)]


def _ports(a: Side, b: Side) -> list[str]:
    """What is compared of several outputs, and ends that differ."""
    notes = []
    ours, theirs = (side.run.manifest.model for side in (a, b))
    for what in ("inputs", "outputs"):
        sides = [ports_of(getattr(model, what)).said for model in (ours, theirs)]
        if sides[0] != sides[1]:
            notes.append(f"their {what} differ: {sides[0] or 'one'} in A, {sides[1] or 'one'} in B")
    if len(ours.outputs) > 1 or len(theirs.outputs) > 1:
        first = [model.outputs[0].name if model.outputs else "output" for model in (ours, theirs)]
        said = first[0] if first[0] == first[1] else f"{first[0]} of A and {first[1]} of B"
        notes.append(f"answers are those of output {said}, the first")
    if ours.state_bytes != theirs.state_bytes:
        notes.append(
            f"their states differ: {ours.state_bytes:,} B in A, {theirs.state_bytes:,} B in B"
        )
    return notes

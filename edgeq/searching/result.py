"""What a study holds, as plain JSON: its trials, the front, the best that fits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeq.reporting.figures.pareto import front
from edgeq.searching.search import Wanted
from edgeq.searching.storage import FrozenTrial, Study, optuna_module, shown
from edgeq.searching.trial import COST, ERROR, MODEL, OVER, SECONDS, WORKER

Entry = dict[str, Any]
FRONTS = {"latency": "cycles", "flash": "flash_bytes", "ram": "ram_bytes"}


def search_result(study: Study, wanted: Wanted) -> Entry:
    """The object of `edgeq search --json`."""
    trials = [_entry(trial) for trial in study.get_trials(deepcopy=False)]
    done = [t for t in trials if t["state"] == "COMPLETE" and t["fits"]]
    for name, key in FRONTS.items():
        edge = set(front([(t[key], t["accuracy"]) for t in done]))
        for trial in done:
            trial["fronts"] += [name] if (trial[key], trial["accuracy"]) in edge else []
    best = max(done, key=lambda t: (t["accuracy"], -t["cycles"]), default=None)
    states = [t["state"] for t in trials]
    return {
        "model": wanted.study,
        "space": str(wanted.space),
        "board": wanted.bounds.board.name,
        "source": "modelled",
        "compiler": wanted.bounds.compiler.label,
        "storage": shown(wanted.storage),
        "study": wanted.study,
        "objectives": list(wanted.bounds.objectives),
        "workers": wanted.workers,
        "limits": dict(vars(wanted.bounds.limits)),
        "complete": states.count("COMPLETE"),
        "pruned": states.count("PRUNED"),
        "failed": states.count("FAIL"),
        "best": best,
        "trials": trials,
    }


def _entry(trial: FrozenTrial) -> Entry:
    attrs: Mapping[str, Any] = trial.user_attrs
    cost: Mapping[str, Any] = attrs.get(COST, {})
    over: Mapping[str, float] = attrs.get(OVER, {})
    return {
        "number": trial.number,
        "state": trial.state.name,
        "why": _why(trial, over),
        "accuracy": attrs.get("accuracy"),
        "cycles": cost.get("cycles"),
        "latency_s": cost.get("latency_s"),
        "energy_j": cost.get("energy_j"),
        "flash_bytes": cost.get("flash_bytes"),
        "ram_bytes": cost.get("ram_bytes"),
        "fits": bool(cost) and not any(more > 0 for more in over.values()),
        "seconds": attrs.get(SECONDS),
        "worker": attrs.get(WORKER),
        "params": dict(trial.params),
        "model": attrs.get(MODEL),
        "fronts": [],
    }


def _why(trial: FrozenTrial, over: Mapping[str, float]) -> str:
    """Of one that is not complete, in words."""
    states = optuna_module().trial.TrialState
    if trial.state == states.FAIL:
        return str(trial.user_attrs.get(ERROR, "its worker is gone"))
    if trial.state != states.PRUNED:
        return ""
    excess = [f"{name} +{more:.0%}" for name, more in over.items() if more > 0]
    return f"over the caps: {', '.join(excess)}" if excess else "behind the median"


def best_model(result: Mapping[str, Any]) -> Path | None:
    """The file of the best trial, where it is on this computer."""
    best = result["best"]
    path = None if best is None or best["model"] is None else Path(best["model"])
    return path if path is not None and path.is_file() else None


def rows(trials: Sequence[Entry]) -> list[Entry]:
    """A row a trial for the run folder's table; parameters are columns of their own, as text."""
    names = sorted({name for trial in trials for name in trial["params"]})
    plain = ("params", "fronts")
    return [
        {key: value for key, value in trial.items() if key not in plain}
        | {"fronts": ", ".join(trial["fronts"])}
        | {
            f"param.{name}": str(trial["params"][name]) if name in trial["params"] else None
            for name in names
        }
        for trial in trials
    ]

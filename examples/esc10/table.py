"""The tables of README.md, from the results of one run."""

import json
from pathlib import Path
from typing import Any

from edgeq.reporting.markdown import profile_rows, size_rows
from edgeq.reporting.run_table import keep_table, run_markdown, run_table

HERE = Path(__file__).parent
CASCADE, MIXTURE = "cascade", ""  # the marks of their tables
RUNS = {CASCADE: HERE / "cascade_run.json", MIXTURE: HERE / "mixture_run.json"}
STUDY = HERE.parent / "cascades" / "esc10.json"


def told(results: dict[str, Any]) -> dict[str, Any]:
    """The table as plain data, and of what it is (`name`)."""
    cascaded, training = results["promise"] is not None, results["training"]
    rows = [*(_of_cascade(results) if cascaded else _of_mixture(training))]
    rows += [*profile_rows(results["profile"]), *size_rows(results["export"])]
    if "train_cpu_seconds" in training:
        rows.append(("training", f"{training['train_cpu_seconds']} s of one core", "host"))
    name, called = (CASCADE, "the cascade") if cascaded else (MIXTURE, "the mixture")
    made = run_table(rows, results["profile"], called, HERE, training.get("seed"))
    return {"name": name, **made}


def _of_mixture(training: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        ("accuracy of the float model, PyTorch", _share(training.get("float_accuracy")), "host"),
        ("accuracy of the quantised model", _share(training.get("pytorch_accuracy")), "host"),
    ]


def _of_cascade(results: dict[str, Any]) -> list[tuple[str, str, str]]:
    training, promise = results["training"], results["promise"]
    first, last = training["networks"]
    asked = (
        f"`--max-disagreement {promise['max_disagreement']} --confidence {promise['confidence']}`"
    )
    held = f"{training['held_clips']} clips of {training['held_recordings']} recordings"
    return [
        ("networks", f"{first}, then {last} for {training['share']:.0%} of the held-out clips", ""),
        ("clips that no training saw", held, "folds 1 to 4"),
        (asked, f"refused: {promise['refused']}", results["board"]),
    ]


def of_all_folds() -> list[tuple[str, str, str]]:
    """What the study says of such cascades, of which this is one fold and seed."""
    study = json.loads(STUDY.read_text())
    where = f"{study['board']}, modelled; {len(study['folds'])} folds, {study['seeds']} seeds"

    def said(key: str, spec: str) -> str:
        values = [100 * v for v in (study[key]["value"], *study[key]["interval"])]
        value, low, high = (f"{v:{spec}}" for v in values)
        return f"{value} [{low}, {high}]"

    last, kept = study["last"], "above -1.5" if study["a_shown"] else "MISSED (wanted: above -1.5)"
    return [
        (f"energy less than {last} alone, %", said("saving", ".1f"), where),
        (
            f"accuracy less that of {last} alone, points",
            f"{said('difference', '+.2f')}; {kept}",
            where,
        ),
        ("energy below the front of single networks, %", said("below_front", ".1f"), where),
    ]


def markdown(made: dict[str, Any]) -> str:
    """What `told` gives, as it stands in the README."""
    return run_markdown(made, of_all_folds() if made["name"] == CASCADE else ())


def keep(made: dict[str, Any]) -> None:
    """Writes it beside the README, so that a test can hold one to the other."""
    keep_table(made, RUNS[made["name"]])


def _share(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.2%}"

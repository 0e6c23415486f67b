"""The tables of README.md, from the results of one run."""

import json
from pathlib import Path
from typing import Any

from edgeq.files import write_file
from edgeq.reporting.gain_chart import gain_chart
from edgeq.reporting.markdown import (
    build_line,
    code,
    commit_of,
    profile_rows,
    size_rows,
    table,
)

HERE = Path(__file__).parent
RUN = HERE / "cascade_run.json"  # what the cascade's table is made of
STUDY = HERE.parent / "cascades" / "esc10.json"


def told(results: dict[str, Any]) -> dict[str, Any]:
    """The table as plain data: `rows`, the `lines` below it, and for whom it is."""
    cascaded = results["promise"] is not None
    rows = [*(_of_cascade(results) if cascaded else _of_mixture(results["training"]))]
    rows += [*profile_rows(results["profile"]), *size_rows(results["export"])]
    if "train_cpu_seconds" in results["training"]:
        seconds = f"{results['training']['train_cpu_seconds']} s of one core"
        rows.append(("training", seconds, "host"))
    name, called = ("cascade", "the cascade") if cascaded else ("", "the mixture")
    made = {
        "name": name,
        "rows": [list(row) for row in rows],
        "chart": gain_chart(results["profile"]["alone"], called).splitlines(),
        "build": f"{build_line(results['profile'])} Fold 5 was only scored.",
    }
    if cascaded:
        made |= {"commit": commit_of(HERE), "seed": results["training"]["seed"]}
    return made


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
    rows = [(what, value, where) for what, value, where in made["rows"]]
    if made["name"]:
        rows += of_all_folds()
    parts = [table(rows), code("\n".join(made["chart"]))]
    if "commit" in made:
        parts.append(f"{made['build']} Seed {made['seed']}, commit {made['commit']}.")
    else:
        parts.append(made["build"])
    return "\n\n".join(parts)


def keep(made: dict[str, Any]) -> None:
    """Writes the cascade's beside the README, so that a test can hold one to the other."""
    if made["name"]:
        write_file(RUN, json.dumps(made, indent=1).encode() + b"\n")


def _share(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.2%}"

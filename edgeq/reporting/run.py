"""The finished runs that reports and comparisons are made of."""

from pathlib import Path

from edgeq.errors import BadInput
from edgeq.harness.manifest import FILE
from edgeq.harness.profile_summary import Summary
from edgeq.harness.record import SampleRecord
from edgeq.harness.trace import Run, read_run, run_folders
from edgeq.plain_text import command

RUNS = "runs"


def finished_run(path: str | Path) -> tuple[Run, Summary]:
    """The run in a folder, or the newest run of an export folder, and its summary.

    Raises BadInput when there is no run, or when it is cut or damaged.
    """
    folder = Path(path)
    runs = () if (folder / FILE).is_file() else run_folders(folder / RUNS)
    run = read_run(runs[-1] if runs else folder)
    if not run.complete or run.summary is None:
        again = command("edgeq", "profile", "--run", run.folder, "--resume")
        raise BadInput(
            f"the run in {run.folder} is not finished: {len(run.records)} of "
            f"{run.manifest.samples} samples; continue it with `{again}`"
        )
    _check_same_run(run, run.summary)
    return run, run.summary


def _check_same_run(run: Run, summary: Summary) -> None:
    """BadInput unless profile.json is of the records and the model beside it."""
    model, where = run.manifest.model, f"{run.folder}: profile.json and"
    if summary.samples != len(run.records):
        raise BadInput(f"{where} the records are of different runs; profile again")
    if [e.name for e in summary.experts] != list(model.experts):
        raise BadInput(f"{where} manifest.json name different experts; profile again")
    labelled = summary.task in ("classification", "autoencoder")
    if labelled and any(r.label is None for r in run.records):
        raise BadInput(f"{run.folder}: a record has no label; profile again")
    counted = summary.counts_cycles or summary.energy.kind
    if counted and not any(r.cycles for r in run.records):
        raise BadInput(f"{where} the records do not agree: no record has cycles; profile again")


def joules_per_cycle(run: Run, summary: Summary) -> float:
    """Of the board's energy model, where the summary has a modelled energy."""
    cycles = sum(record.cycles for record in run.records)
    return (summary.energy.joules_mean or 0) * len(run.records) / cycles


def answer(record: SampleRecord, classes: int) -> int:
    """The class that the board named: the first of the largest outputs of the first port, which
    has as many values as there are classes.
    """
    return max(range(min(classes, len(record.output)) or 1), key=record.output.__getitem__)

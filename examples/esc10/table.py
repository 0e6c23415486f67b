"""The table of README.md, from the results of one run."""

from pathlib import Path
from typing import Any

from edgeq.errors import BadInput

START, END = "<!-- table: start, written by esc10.py -->", "<!-- table: end -->"


def markdown(results: dict[str, Any]) -> str:
    """Rows of what was measured, where, and with which build."""
    profile, training, export = results["profile"], results["training"], results["export"]
    built = f"{results['compiler']}, `{' '.join(results['flags'])}`"
    where = f"{results['emulated_board']} (emulated)"
    rows = [("float model, PyTorch", _share(training.get("float_accuracy")), "host")]
    rows.append(("quantised model, PyTorch", _share(training.get("pytorch_accuracy")), "host"))
    rows.append((f"device, {profile['samples']} clips", _share(profile["accuracy"]), where))
    rows.append(("macro F1, device", f"{profile['macro_f1']:.3f}", where))
    rows.append(("clips that differ from the reference", str(profile["mismatches"]), where))
    rows.append(("MACs a clip", f"{results['macs_per_clip']:,}", "counted"))
    rows.append(("arena", f"{export['arena_bytes']:,} bytes", results["board"]))
    rows.append(("flash, weights and code", f"{export['flash_bytes']:,} bytes", results["board"]))
    rows.append(("weights", f"{results['weight_bytes']:,} bytes", results["board"]))
    rows += _latency("latency, mean", profile["latency"], where)
    for expert in profile["experts"]:
        share = f"{expert['count']} of {profile['samples']} clips"
        rows.append((f"answered by {expert['name']}", share, where))
        rows += _latency(f"latency of {expert['name']}, mean", expert["latency"], where)
    if "train_cpu_seconds" in training:
        rows.append(("training", f"{training['train_cpu_seconds']} s of one core", "host"))
    lines = ["| what | value | where |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", f"Build: {built}. Fold 5 was only scored."])


def _share(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.2%}"


def _latency(name: str, latency: dict[str, Any], where: str) -> list[tuple[str, str, str]]:
    if latency["mean"] is None:
        return []
    return [(name, f"{latency['mean']:.1f} {latency['unit']}, {latency['source']}", where)]


def write(readme: Path, results: dict[str, Any]) -> None:
    """Puts the table between the two marks of `readme`; BadInput when a mark is missing."""
    text = readme.read_text(encoding="utf-8")
    head, found_start, rest = text.partition(START)
    _, found_end, tail = rest.partition(END)
    if not (found_start and found_end):
        raise BadInput(f"{readme} lacks the marks {START} and {END}; restore them")
    readme.write_text(f"{head}{START}\n{markdown(results)}\n{END}{tail}", encoding="utf-8")

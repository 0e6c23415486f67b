"""The table of README.md, from the results of one run."""

from typing import Any

from edgeq.reporting.markdown import build_line, profile_rows, size_rows, table


def markdown(results: dict[str, Any]) -> str:
    """Rows of what was measured, where, and with which build."""
    training = results["training"]
    rows = [
        ("accuracy of the float model, PyTorch", _share(training.get("float_accuracy")), "host"),
        ("accuracy of the quantised model", _share(training.get("pytorch_accuracy")), "host"),
        *profile_rows(results["profile"]),
        *size_rows(results["export"]),
    ]
    if "train_cpu_seconds" in training:
        rows.append(("training", f"{training['train_cpu_seconds']} s of one core", "host"))
    return f"{table(rows)}\n\n{build_line(results['profile'])} Fold 5 was only scored."


def _share(value: float | None) -> str:
    return "not recorded" if value is None else f"{value:.2%}"

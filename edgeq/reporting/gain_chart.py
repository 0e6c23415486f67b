"""What a mixture or cascade gains against the best single model, as a chart of characters."""

from collections.abc import Mapping
from typing import Any

LONGEST_BAR = 40


def gain_chart(alone: Mapping[str, Any], model: str = "the cascade") -> str:
    """Accuracy and energy of each expert alone, of the `model` and the oracle, then the sentence.

    `alone` is that of `edgeq profile --json`; without energy figures only the sentence is left.
    """
    rows = [(f"{e['name']} alone", e) for e in alone["experts"]]
    rows += [(model, alone["mixture"]), ("an oracle", alone["oracle"])]
    said = str(alone["gain"]["said"])
    if any(row["joules"] is None for _, row in rows):  # QEMU counts no cycles
        return said
    most, width = max(row["joules"] for _, row in rows), max(len(name) for name, _ in rows)
    bars = [max(1, round(LONGEST_BAR * row["joules"] / most)) for _, row in rows]
    lines = [
        f"{name:>{width + 2}} {row['accuracy']:7.1%}  {'#' * bar} {1e6 * row['joules']:,.1f} uJ"
        for (name, row), bar in zip(rows, bars, strict=True)
    ]
    return "\n".join(["Accuracy, and energy an inference (modelled):", *lines, said])

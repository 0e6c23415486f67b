"""Writes the table of operators into docs/import.md: python -m tests.onnx_table."""

import json
from pathlib import Path

from edgeq.frontend.torch_module import READERS as ATEN
from edgeq.verbs import imported_ops

PAGE = Path(__file__).parents[1] / "docs" / "import.md"
RECORD = PAGE.parent / "measured" / "onnx_nodes.json"
START = "<!-- table of operators: start, written by a script -->"
END = "<!-- table of operators: end -->"


def table() -> str:
    """Between its marks, the operators that `edgeq ops` lists, and PyTorch's."""
    facts, nodes = imported_ops(), json.loads(RECORD.read_text(encoding="utf-8"))
    skipped = sum(nodes["skipped"].values())
    said = (
        f"{nodes['right']} of {nodes['counted']} right, {len(nodes['wrong'])} wrong, "
        f"{len(nodes['refused'])} refused; {skipped:,} skipped"
    )
    lines = [
        "| file | operators that are taken |",
        "|---|---|",
        f"| ONNX, float or quantised | {', '.join(facts['supported_onnx'])} |",
        f"| ONNX's own node tests | {said} |",
        f"| TensorFlow Lite, int8 | {', '.join(facts['supported'])} |",
        f"| TensorFlow Lite, 16x8 | {', '.join(facts['supported_tflite_int16'])} |",
        f"| TensorFlow Lite, float | {', '.join(facts['supported_tflite_float'])} |",
        f"| PyTorch, by their names in ATen | {', '.join(sorted(ATEN))} |",
    ]
    return "\n".join([START, *lines, END])


def shown() -> str:
    """The table as the page has it."""
    text = PAGE.read_text(encoding="utf-8")
    return text[text.index(START) : text.index(END) + len(END)]


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page.replace(shown(), table()), encoding="utf-8")

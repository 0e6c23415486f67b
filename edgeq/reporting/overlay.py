"""Layers' cycles and widths as custom node data for Google's Model Explorer, on model.tflite.

The format is GraphNodeData of the package ai-edge-model-explorer (node_data_builder.py): a value
for each output tensor's name, and how values become colours.
"""

from collections.abc import Mapping, Sequence
from typing import Any

GRADIENT = ({"stop": 0, "bgColor": "#e8f1fb"}, {"stop": 1, "bgColor": "#f28e2b"})
Overlay = dict[str, Any]


def overlays(
    report: Mapping[str, Any], entry: Mapping[str, Any], written: Sequence[str]
) -> dict[str, Overlay]:
    """By file name: "BOARD.cycles.json" and "widths.json".

    report: export.json. entry: a board's in the estimate. written: the output tensors of the
    operators of model.tflite. A layer that is several operators is shown at its last one; one that
    is none (of an expert whose twin stands for it) is left out.
    """
    cycles = {
        place: {"value": layer["cycles"]}
        for layer in entry["layers"]
        if (place := _last(layer["name"], written)) is not None
    }
    widths = {
        place: {"value": layer["weight_format"]}
        for layer in report["layers"]
        if layer["weight_format"] and (place := _last(layer["name"], written)) is not None
    }
    title = f"cycles, {entry['board']} ({entry['source']})"
    return {
        f"{entry['board']}.cycles.json": {
            "name": title,
            "results": cycles,
            "gradient": list(GRADIENT),
        },
        "widths.json": {"name": "weight format", "results": widths},
    }


def _last(layer: str, written: Sequence[str]) -> str | None:
    """The last tensor of a layer: its name begins with the layer's."""
    own = [name for name in written if name == layer or name.startswith(f"{layer}.")]
    return own[-1] if own else None

"""The board that a folder's model runs on, held to the folder."""

from pathlib import Path
from typing import Any

from edgeq.board import Board, load_board
from edgeq.emit.firmware import LayerInfo
from edgeq.errors import BadInput, Link
from edgeq.harness.messages import Info
from edgeq.ir import Graph
from edgeq.ir.ports import inputs_of, outputs_of
from edgeq.plain_text import command


def check_board(
    info: Info,
    report: dict[str, Any],
    graph: Graph,
    layers: tuple[LayerInfo, ...],
    folder: Path,
) -> None:
    """Raises Link unless the board runs the model of this folder."""
    again = command("edgeq", "flash", "--board", info.board, "--firmware", folder)
    flash_again = f"run `{again}`"
    if info.model_digest != report["model_digest"]:
        raise Link(
            f"the board runs model {info.model_digest}, {folder} holds {report['model_digest']}; "
            f"{flash_again}, or name the folder of the board's model with --firmware"
        )
    inputs, outputs = inputs_of(graph), outputs_of(graph)
    if (info.inputs, info.outputs, info.layer_count) != (inputs, outputs, len(layers)):
        raise Link(
            f"the board takes {info.inputs.said}, gives {info.outputs.said} and has "
            f"{info.layer_count} layers, {folder} says {inputs.said}, {outputs.said} and "
            f"{len(layers)}; {flash_again}"
        )


def known_board(name: str) -> Board | None:
    """The board file of that name, None where there is none."""
    try:
        return load_board(name)
    except BadInput:
        return None

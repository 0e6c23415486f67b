"""`edgeq ops`: the operators that edgeq takes, and what of a file it does not."""

from pathlib import Path
from typing import Any

import click

from edgeq.cli.options import json_option
from edgeq.cli.output import say, say_json


@click.command(short_help="The operators that are taken; what in a file is not.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@json_option
def ops(file: Path | None, as_json: bool) -> None:
    """The operators of .tflite and .onnx files that edgeq takes; with FILE, each of its nodes.

    Ends with 3 when a node is not taken: `edgeq export` would refuse the file.
    """
    from edgeq.verbs import imported_ops, refuse_unsupported

    facts = imported_ops(file)
    if as_json:
        say_json(facts)
    else:
        say("\n".join(_lines(facts)))
    refuse_unsupported(facts)


def _lines(facts: dict[str, Any]) -> list[str]:
    lines = [
        f"TensorFlow Lite, int8: {', '.join(facts['supported'])}",
        f"ONNX, float: {', '.join(facts['supported_onnx'])}",
    ]
    if facts["file"]:
        lines = []
    for node in facts["nodes"]:
        said = f"not taken: {node['reason']}" if node["reason"] else "taken"
        if not node["taken"] and not node["reason"]:
            said = "not checked: it follows one that is not taken"
        lines.append(f"{node['index']:>4}  {node['op']:<24}  {said}  ({node['name']})")
    return lines

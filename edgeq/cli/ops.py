"""`edgeq ops`: the operators that edgeq takes, and what of a file it does not."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeq.cli.options import input_shape_option, json_option
from edgeq.cli.output import say_json, show
from edgeq.plain_text import plain

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command(short_help="The operators that are taken; what in a file is not.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@input_shape_option
@json_option
def ops(file: Path | None, input_shape: str | None, as_json: bool) -> None:
    """The operators of .tflite and .onnx files that edgeq takes; with FILE, each of its nodes.

    A node that reads what one that is not taken would make is not checked. Ends with 3 when a node
    is not taken: `edgeq export` would refuse the file.
    """
    from edgeq.verbs import imported_ops, refuse_unsupported

    facts = imported_ops(file, input_shape)
    if as_json:
        say_json(facts)
    else:
        show(_shown(plain(facts)))
    refuse_unsupported(facts)


def _shown(facts: dict[str, Any]) -> "RenderableType":
    from rich.console import Group

    from edgeq.reporting.fitted import Column, Paragraph, name_column, table

    if not facts["file"]:
        return Group(
            Paragraph(", ".join(facts["supported"]), "TensorFlow Lite, int8: "),
            Paragraph(", ".join(facts["supported_tflite_int16"]), "TensorFlow Lite, 16x8: "),
            Paragraph(", ".join(facts["supported_tflite_float"]), "TensorFlow Lite, float: "),
            Paragraph(", ".join(facts["supported_onnx"]), "ONNX, float or quantised: "),
        )
    columns = (Column("node"), Column("op", right=False), Column("", right=False))
    rows = [(str(n["index"]), n["op"], _said(n), n["name"]) for n in facts["nodes"]]
    refused = [n for n in facts["nodes"] if n["reason"]]
    return Group(
        table("", (*columns, name_column("name")), rows),
        *(Paragraph(f"{n['op']}: {n['reason']}", f"node {n['index']} ") for n in refused),
    )


def _said(node: dict[str, Any]) -> str:
    """One that is not looked at reads what a refused one would have made."""
    if node["reason"]:
        return "not taken"
    return "taken" if node["taken"] else "not checked"

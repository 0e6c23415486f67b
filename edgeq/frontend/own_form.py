"""Files that edgeq emitted from a graph with experts, back as that graph.

Their If branches are read by the note beside them (ops/graph_note.py). Whoever takes the graph has
to emit it anew and hold the bytes to the file's: that is what makes it the file's own.
"""

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import ModelFile
from edgeq.frontend.findings import Finding
from edgeq.frontend.tflite_file import is_onnx, is_tflite, parse, read_bytes
from edgeq.ir import Graph
from edgeq.ops.graph_note import NOTE, About, graph_of_note, initialisers
from edgeq.passes.stored_graph import sound_graph

ONNX, TFLITE = "onnx", "tflite"


@dataclass(frozen=True)
class OwnForm:
    """`form`: ONNX or TFLITE; `graph` is lowered, without kernels."""

    form: str
    data: bytes
    graph: Graph
    about: About


def own_form(path: Path) -> OwnForm | None:
    """What a file of edgeq's says that it is; None for one without a note.

    Raises BadInput where there is no file, ModelFile, naming it, for a note that is damaged.
    """
    form = TFLITE if is_tflite(path) else ONNX if is_onnx(path) else None
    if form is None:
        return None
    data = read_bytes(path)
    if NOTE.encode() not in data:  # parsed by the loader alone
        return None
    try:
        return _of_tflite(data) if form == TFLITE else _of_onnx(data)
    except ModelFile as error:
        raise ModelFile(f"{path}: {error}") from error


def _of_tflite(data: bytes) -> OwnForm | None:
    file = parse(data)
    note = file.note(NOTE)
    if note is None:
        return None
    graph, about = graph_of_note(note, file.held())
    return OwnForm(TFLITE, data, sound_graph(graph), about)


def _of_onnx(data: bytes) -> OwnForm | None:
    """A file that does not parse is the loader's to refuse."""
    import onnx
    from google.protobuf.message import (  # type: ignore[import-untyped,unused-ignore]
        DecodeError,
    )

    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError, RecursionError):
        return None
    found = [entry.value for entry in model.metadata_props if entry.key == NOTE]
    if not found:
        return None
    try:
        note = base64.b64decode(found[0], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ModelFile(f"its note {NOTE} is damaged ({error})") from error
    graph, about = graph_of_note(note, initialisers(model.graph))
    return OwnForm(ONNX, data, sound_graph(graph), about)


def findings_of_own(own: OwnForm) -> list[Finding]:
    """Every node of the graph: all are taken."""
    return [Finding(i, node.op, node.name) for i, node in enumerate(own.graph.nodes)]

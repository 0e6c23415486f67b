"""An export's folder from what the straight line made: forms, firmware, rows, graphs and words."""

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.arrays import Array
from edgeq.compiled import Compiled, library
from edgeq.emit.forms import Forms
from edgeq.export_folder import EVALUATION, GRAPH, PACKAGE, WINDOW, Artifacts, write_export
from edgeq.export_report import ExportReport
from edgeq.export_request import ExportRequest
from edgeq.ops.graph_file import write_graph
from edgeq.reporting.export import export_text
from edgeq.reporting.terminal import console
from edgeq.streaming import Exported


def write_report(
    asked: ExportRequest,
    report: ExportReport,
    compiled: Compiled,
    model: Exported,
    forms: Forms,
) -> dict[str, Any]:
    """Writes all of the folder, or nothing; returns export.json."""
    entry, out = report.entry, asked.out
    files = {"model.onnx": forms.onnx, "report.txt": _plain_text(entry, out.name)}
    if forms.tflite:
        files["model.tflite"] = forms.tflite
    if model.evaluation is not None:
        files[EVALUATION] = _npz(**model.evaluation)
    graphs = {GRAPH: compiled.graph, **({WINDOW: model.window.graph} if model.window else {})}
    written: dict[str, Callable[[Path], None]] = {
        name: partial(write_graph, graph) for name, graph in graphs.items()
    }
    if asked.formats:
        written[PACKAGE] = library(compiled, asked.formats, report.target).write
    write_export(out, Artifacts(entry, compiled.project, files, written))
    return entry


def _npz(**arrays: Array) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _plain_text(report: dict[str, Any], folder: str) -> bytes:
    text = io.StringIO()
    said = export_text(report, folder, verbose=True)
    console(file=text, width=140, color_system=None).print(said, crop=False)
    return text.getvalue().encode()

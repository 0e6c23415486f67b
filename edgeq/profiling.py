"""Profiling: a data set streamed through the board, beside the reference."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.arrays import class_labels, model_rows, read_npz
from edgeq.errors import BadInput, Link
from edgeq.export_folder import EVALUATION, GRAPH, read_report


def profile(
    port: str, firmware: str | Path = "build/export", data: str | Path | None = None
) -> dict[str, Any]:
    """Streams a data set through the board; returns accuracy, latency, energy and mismatches."""
    from edgeq.harness.link import Link as BoardLink
    from edgeq.ops.graph_file import read_graph
    from edgeq.reference import quantize_rows
    from edgeq.report.profile import summarize

    folder = Path(firmware)
    report, graph = read_report(folder), read_graph(folder / GRAPH)
    source = Path(data) if data else folder / EVALUATION
    if not data and not source.is_file():
        raise BadInput(f"{folder} stores no evaluation set; pass --data X.npz (keys x, y)")
    x, y = read_npz(source, "x", "y")
    rows = quantize_rows(graph, model_rows(x, tuple(report["input_shape"]), str(source)))
    classes = int(np.prod(graph.tensors[graph.outputs[0]].shape))
    labels = class_labels(y, len(rows), classes, str(source))
    with BoardLink.open(port) as link:
        info = link.info()
        if info.model_digest != report["model_digest"]:
            raise Link(f"the board runs model {info.model_digest[:12]}, {folder} holds another")
        results = [link.infer(i, row.tobytes()) for i, row in enumerate(rows)]
    summary = summarize(graph, rows, labels, results, info)
    (folder / "profile.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary

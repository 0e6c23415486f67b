"""The proof of an imported .tflite: the file itself, in LiteRT, against the graph read from it."""

from dataclasses import replace

import numpy as np

from edgeq.emit.apart import Apart, RunFailed
from edgeq.ir import Graph
from edgeq.ir.ports import limits, result_tensors
from edgeq.ops.op import Array
from edgeq.prove.check import LEAST_TOP1, Check
from edgeq.prove.forms import check_forms, classes_of, form_check
from edgeq.reference import output_codes, quantize_rows, run
from edgeq.task import Task


def check_imported(data: bytes, graph: Graph, x: Array, task: Task | None = None) -> Check:
    """On real rows x (rows, *row shape). LiteRT rounds once where TensorFlow Lite Micro and the
    firmware round twice, so that steps may differ; `failed` where it cannot run the file.
    """
    rows = quantize_rows(graph, x)
    try:
        with Apart() as apart:
            made, real = apart.plain_tflite(data, rows, x)
    except RunFailed as error:
        return Check.of_nothing("model", f"was not compared: {error}", failed=str(error))
    made = np.where(real, np.clip(output_codes(graph, made), *_limits(graph)), made)
    reference, classes = run(graph, rows), classes_of(graph, task)
    check = form_check("model", reference, made.astype(np.int64), reference.route, classes)
    return _judged(check, "LiteRT")


def check_own(data: bytes, onnx: bool, graph: Graph, x: Array, task: Task | None = None) -> Check:
    """On real rows x: an .onnx or .tflite file that an export wrote, as its own proof has it."""
    rows = quantize_rows(graph, x)
    (check,) = check_forms(graph, x, rows, data if onnx else None, None if onnx else data, task)
    if check.failed:
        return replace(check, name="model")
    return _judged(check, "ONNX Runtime" if onnx else "LiteRT")


def _judged(check: Check, by: str) -> Check:
    """The check of a file that was run, held to the bounds of a model."""
    other = check.top1_agreement is not None and check.top1_agreement < LEAST_TOP1
    said = f"the file in {by}: {check.said}"
    return replace(check, name="model", passed=not (other or check.strays), said=said)


def _limits(graph: Graph) -> tuple[Array, Array]:
    """The lowest and highest code of every output value."""
    kinds = [graph.tensors[name] for name in result_tensors(graph)]
    low, high = (np.concatenate([np.full(k.size, limits(k)[i]) for k in kinds]) for i in (0, 1))
    return low, high

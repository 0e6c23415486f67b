"""The proof of an imported .tflite: the file itself, in LiteRT, against the graph read from it."""

from dataclasses import replace

import numpy as np

from edgeq.emit.apart import Apart, RunFailed
from edgeq.ir import Graph
from edgeq.ops.op import Array, quant_of
from edgeq.prove.check import LEAST_TOP1, MOST_MEAN, Check, has_classes
from edgeq.prove.forms import form_check
from edgeq.reference import quantize_rows, run


def check_imported(data: bytes, graph: Graph, x: Array) -> Check:
    """On real rows x (rows, *graph shape). LiteRT rounds once where TensorFlow Lite Micro and the
    firmware round twice, so that steps may differ; `failed` where it cannot run the file.
    """
    rows = quantize_rows(graph, x)
    quant = quant_of(graph.tensors[graph.outputs[0]])
    try:
        with Apart() as apart:
            made = apart.plain_tflite(data, rows, x)
    except RunFailed as error:
        return Check.of_nothing("model", f"was not compared: {error}", failed=str(error))
    if made.dtype.kind == "f":
        made = np.clip(np.round(made / quant.per_tensor) + quant.zero_point, -128, 127)
    reference = run(graph, rows)
    check = form_check("model", reference, made.astype(np.int64), reference.route)
    classes = has_classes(graph) and (check.top1_agreement or 0.0) < LEAST_TOP1
    far = (check.mean_lsb or 0.0) > MOST_MEAN
    return replace(check, passed=not (classes or far), said=f"the file in LiteRT: {check.said}")

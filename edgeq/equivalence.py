"""Equivalence of the emitted forms with the integer reference, counted on calibration rows."""

from typing import Any

import numpy as np

from edgeq.emit.onnx_check import run_onnx
from edgeq.emit.tflite_check import run_tflite
from edgeq.ir import Graph
from edgeq.ops.op import Array, quant_of
from edgeq.reference import run


def equivalence(
    graph: Graph, x: Array, rows: Array, onnx: bytes, tflite: bytes | None
) -> list[dict[str, Any]]:
    """One entry a form: samples, mismatches, max_lsb, top1_agreement, route_agreement."""
    reference = run(graph, rows)
    quant = quant_of(graph.tensors[graph.outputs[0]])
    onnx_run = run_onnx(onnx, x)
    steps = np.round(onnx_run.output / quant.per_tensor) + quant.zero_point
    checks = [_entry("onnx", reference, steps, onnx_run.route)]
    if tflite:
        lite = run_tflite(tflite, rows)
        checks.append(_entry("tflite", reference, lite.logits.astype(np.int64), lite.route))
    return checks


def _entry(name: str, reference: Any, output: Array, route: Array) -> dict[str, Any]:
    difference = np.abs(output - reference.output.astype(np.int64)).max(axis=1)
    top1 = output.argmax(axis=1) == reference.output.argmax(axis=1)
    return {
        "name": name,
        "samples": len(output),
        "mismatches": int((difference > 0).sum()),
        "max_lsb": int(difference.max()),
        "top1_agreement": float(top1.mean()),
        "route_agreement": float((route == reference.route).mean()),
    }

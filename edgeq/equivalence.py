"""Equivalence of the emitted forms with the integer reference, counted on calibration rows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeq.emit.apart import Apart, RunFailed
from edgeq.ir import Graph
from edgeq.ops.op import Array, quant_of
from edgeq.reference import run


def equivalence(
    graph: Graph, x: Array, rows: Array, onnx: bytes, tflite: bytes | None
) -> list[dict[str, Any]]:
    """One entry a form: samples, mismatches, max_lsb, top1_agreement, route_agreement.

    A form that its interpreter could not run has "failed" with the reason, and no numbers.
    """
    reference = run(graph, rows)
    quant = quant_of(graph.tensors[graph.outputs[0]])
    with Apart() as apart:

        def of_onnx() -> tuple[Array, Array]:
            ran = apart.onnx(onnx, x)
            return np.round(ran.output / quant.per_tensor) + quant.zero_point, ran.route

        def of_tflite() -> tuple[Array, Array]:
            ran = apart.tflite(tflite or b"", rows)
            return ran.logits.astype(np.int64), ran.route

        checks = [_checked("onnx", reference, of_onnx)]
        if tflite:
            checks.append(_checked("tflite", reference, of_tflite))
    return checks


def _checked(name: str, reference: Any, ran: Callable[[], tuple[Array, Array]]) -> dict[str, Any]:
    try:
        return _entry(name, reference, *ran())
    except RunFailed as error:
        numbers = dict.fromkeys(("max_lsb", "top1_agreement", "route_agreement"))
        return {"name": name, "samples": 0, "mismatches": 0, **numbers, "failed": str(error)}


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

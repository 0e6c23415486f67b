"""The emitted ONNX and TFLite files against the integer reference, on the caller's rows."""

from collections.abc import Callable

import numpy as np

from edgeq.emit.apart import Apart, RunFailed
from edgeq.ir import Graph
from edgeq.ops.op import Array, quant_of
from edgeq.prove.check import Check
from edgeq.reference import Answered, run

WHY_A_STEP = {
    "onnx": "ONNX Runtime computes in float and rounds once, the integers twice",
    "tflite": "LiteRT rounds once where TensorFlow Lite Micro and the firmware round twice",
    "model": "LiteRT rounds once where TensorFlow Lite Micro and the firmware round twice",
}


def check_forms(
    graph: Graph, x: Array, rows: Array, onnx: bytes | None, tflite: bytes | None
) -> list[Check]:
    """A check a form; x (rows, *graph shape) float, `rows` the same as int8.

    A form that its interpreter could not run has `failed` with the reason, and no numbers.
    """
    reference, checks = run(graph, rows), []
    quant = quant_of(graph.tensors[graph.outputs[0]])
    with Apart() as apart:

        def of_onnx() -> tuple[Array, Array]:
            ran = apart.onnx(onnx or b"", x)
            return np.round(ran.output / quant.per_tensor) + quant.zero_point, ran.route

        def of_tflite() -> tuple[Array, Array]:
            ran = apart.tflite(tflite or b"", rows)
            return ran.logits.astype(np.int64), ran.route

        if onnx:
            checks.append(_checked("onnx", reference, of_onnx))
        if tflite:
            checks.append(_checked("tflite", reference, of_tflite))
    return checks


def _checked(name: str, reference: Answered, ran: Callable[[], tuple[Array, Array]]) -> Check:
    try:
        return form_check(name, reference, *ran())
    except RunFailed as error:
        return Check.of_nothing(name, f"was not compared: {error}", failed=str(error))


def form_check(name: str, reference: Answered, output: Array, route: Array) -> Check:
    """A form's outputs (rows, ...) in steps and its routes, beside the reference's."""
    wanted = reference.output.reshape(len(output), -1).astype(np.int64)
    output = output.reshape(len(output), -1)
    difference = np.abs(output - wanted)
    differ, most = int((difference.max(axis=1) > 0).sum()), int(difference.max())
    top1 = float((output.argmax(axis=1) == wanted.argmax(axis=1)).mean())
    routes = float((route == reference.route).mean())
    return Check(
        name=name,
        samples=len(output),
        mismatches=differ,
        max_lsb=most,
        mean_lsb=float(difference.mean()),
        top1_agreement=top1,
        route_agreement=routes,
        said=_said(name, len(output), differ, most, top1, routes),
    )


def _said(name: str, rows: int, differ: int, most: int, top1: float, routes: float) -> str:
    if not differ:
        return f"equal to the integers in all {rows} rows, routes {routes:.1%}"
    return (
        f"{differ} of {rows} rows differ from the integers in some output, by {most} "
        f"step{'s' if most > 1 else ''} at most ({WHY_A_STEP[name]}); top-1 {top1:.1%}, "
        f"routes {routes:.1%}"
    )

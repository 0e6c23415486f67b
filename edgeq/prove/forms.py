"""The emitted ONNX and TFLite files against the integer reference, on the caller's rows."""

from collections.abc import Callable

import numpy as np

from edgeq.emit.apart import Apart, RunFailed
from edgeq.emit.runs import form_ends
from edgeq.ir import Graph
from edgeq.ir.ports import outputs_of
from edgeq.ops.op import Array
from edgeq.prove.check import Check, has_classes
from edgeq.prove.settled import settled
from edgeq.reference import Answered, output_codes, run
from edgeq.task import Task

WHY_A_STEP = {
    "onnx": "ONNX Runtime computes in float and rounds once, the integers twice",
    "tflite": "LiteRT rounds once where TensorFlow Lite Micro and the firmware round twice",
    "model": "LiteRT rounds once where TensorFlow Lite Micro and the firmware round twice",
}


def check_forms(
    graph: Graph,
    x: Array,
    rows: Array,
    onnx: bytes | None,
    tflite: bytes | None,
    task: Task | None = None,
) -> list[Check]:
    """A check a form; x (rows, *row shape) float, `rows` the same as codes.

    A form that its interpreter could not run has `failed` with the reason, and no numbers.
    """
    reference, checks = run(graph, rows), []
    classes, ends, sure = classes_of(graph, task), form_ends(graph), settled(graph, rows)
    with Apart() as apart:

        def of_onnx() -> tuple[Array, Array]:
            ran = apart.onnx(onnx or b"", x, ends)
            last = ran.output.transpose(0, 2, 3, 1) if ran.output.ndim == 4 else ran.output
            return output_codes(graph, last), ran.route

        def of_tflite() -> tuple[Array, Array]:
            ran = apart.tflite(tflite or b"", rows, ends)
            return ran.logits.astype(np.int64), ran.route

        if onnx:
            checks.append(_checked("onnx", reference, of_onnx, classes, sure))
        if tflite:
            checks.append(_checked("tflite", reference, of_tflite, classes, sure))
    return checks


def _checked(
    name: str,
    reference: Answered,
    ran: Callable[[], tuple[Array, Array]],
    classes: int,
    sure: Array,
) -> Check:
    try:
        return form_check(name, reference, *ran(), classes, sure)
    except RunFailed as error:
        return Check.of_nothing(name, f"was not compared: {error}", failed=str(error))


def classes_of(graph: Graph, task: Task | None) -> int:
    """The values of the first output port, of which the largest is the answer; 0 where none is."""
    return outputs_of(graph).ports[0].size if has_classes(graph, task) else 0


def form_check(
    name: str,
    reference: Answered,
    output: Array,
    route: Array,
    classes: int,
    sure: Array | None = None,
) -> Check:
    """A form's outputs (rows, ...) in steps and its routes, beside the reference's. `classes`: as
    `classes_of`. `sure` (rows,): the rows whose route is no tie; without, all. Of the others none
    counts that took another route, but in `mismatches` and `max_lsb`.
    """
    wanted = reference.output.reshape(len(output), -1).astype(np.int64)
    output = output.reshape(len(output), -1)
    difference = np.abs(output - wanted)
    differ, most = int((difference.max(axis=1) > 0).sum()), int(difference.max())
    same, top1 = route == reference.route, None
    counts = same if sure is None else same | sure
    if classes:
        best, wanted_best = (codes[:, :classes].argmax(axis=1) for codes in (output, wanted))
        top1 = _share(best == wanted_best, counts)
    routes = _share(same, counts)
    return Check(
        name=name,
        samples=len(output),
        mismatches=differ,
        max_lsb=most,
        mean_lsb=float(difference[counts].mean()) if counts.any() else None,
        top1_agreement=top1,
        route_agreement=routes,
        said=_said(name, len(output), differ, most, top1, routes, int((~counts).sum())),
    )


def _share(true: Array, counts: Array) -> float | None:
    return float(true[counts].mean()) if counts.any() else None


def _said(
    name: str,
    rows: int,
    differ: int,
    most: int,
    top1: float | None,
    routes: float | None,
    left_out: int,
) -> str:
    if not differ and not left_out:
        return f"equal to the integers in all {rows} rows, routes {routes:.1%}"
    best = "" if top1 is None else f"top-1 {top1:.1%}, "
    shared = "no route is comparable" if routes is None else f"routes {routes:.1%}"
    left = f"; {left_out} whose signal lies at a threshold went the other way" if left_out else ""
    return (
        f"{differ} of {rows} rows differ from the integers in some output, by {most} "
        f"step{'s' if most > 1 else ''} at most ({WHY_A_STEP[name]}); {best}"
        f"{shared}{left}"
    )

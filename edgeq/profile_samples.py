"""The rows of a profile: as codes, with labels or targets, and what their answers are judged by."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeq.arrays import CHANNELS_FIRST, Array, class_labels, has_key, read_npz, row_groups
from edgeq.errors import BadInput
from edgeq.export_folder import export_rows
from edgeq.harness.manifest import Data
from edgeq.ir import Graph, Stream
from edgeq.ir.ports import ends_in_map, outputs_of, result_tensors
from edgeq.reference import quantize_rows
from edgeq.reporting.task import UNLABELLED, scored, task_of
from edgeq.task import ProfiledTask, Task, checked_task

LABELLED: tuple[Task, ...] = ("classification", "autoencoder")  # by a whole number a row


@dataclass(frozen=True)
class Samples:
    """Rows of codes as the model takes them, their labels and groups, and where they come from.

    `stream`: how rows follow on one another in a recording, the first answer that of row `begins`.
    `targets` (rows, values): what the first output should be, real numbers as the device orders
    them, of tasks that are judged by it.
    """

    rows: Array
    labels: Array
    source: Data
    task: ProfiledTask
    groups: Array | None = None
    targets: Array | None = None
    stream: Stream | None = None
    begins: int = 0

    def first(self, count: int | None) -> "Samples":
        """Its first rows. BadInput for fewer than one."""
        if count is not None and count < 1:
            raise BadInput(f"--limit {count}: give 1 or more samples")
        groups, targets = (
            None if part is None else part[:count] for part in (self.groups, self.targets)
        )
        rows, labels = self.rows[:count], self.labels[:count]
        return replace(self, rows=rows, labels=labels, groups=groups, targets=targets)


def read_samples(source: Path, report: Mapping[str, Any], graph: Graph) -> Samples:
    """The rows of an .npz file for the model of an export; keys x, y and groups.

    y is a class a row, 0 or 1 (odd) of an autoencoder, else what the model should answer; without
    it nothing is judged. BadInput for what does not fit.
    """
    real = export_rows(report, source)
    rows = quantize_rows(graph, real)
    stated = checked_task(report.get("task"))
    y = np.asarray(read_npz(source, "y")[0]) if has_key(source, "y") else None
    labels, targets = np.full(len(rows), UNLABELLED, np.int64), None
    if y is not None and _is_labelled(stated, y, graph):
        labels = class_labels(y, len(rows), _highest(stated, graph), str(source))
    elif y is not None:
        targets = _targets(y, len(rows), graph, report, str(source))
    task = stated or _told(rows, graph, report, labels, targets)
    plain = len(graph.inputs) == 1  # as the file has it, whatever order of axes a model wants
    x = np.asarray(read_npz(source, "x")[0], np.float32) if plain else real
    known = labels if targets is None else targets
    origin = Data(
        source=str(source), digest=digest_of(x, known), input_digest=digest_of(rows, known)
    )
    judged = scored(task, labels, targets)
    return Samples(rows, labels, origin, judged, row_groups(source, len(rows)), targets)


def _is_labelled(stated: Task | None, y: Array, graph: Graph) -> bool:
    """Whether y holds labels rather than targets."""
    if stated is not None:
        return stated in LABELLED
    return y.ndim == 1 and y.dtype.kind in "iu" and outputs_of(graph).ports[0].size > 1


def _highest(stated: Task | None, graph: Graph) -> int:
    return 2 if stated == "autoencoder" else outputs_of(graph).ports[0].size


def _told(
    rows: Array, graph: Graph, report: Mapping[str, Any], labels: Array, targets: Array | None
) -> Task:
    """The task, by shapes, names and labels."""
    if targets is not None:
        return "segmentation" if ends_in_map(graph) else "regression"
    outputs = outputs_of(graph).ports[0].size
    return task_of(rows[0].size, outputs, report.get("class_names"), labels)


def _targets(y: Array, rows: int, graph: Graph, report: Mapping[str, Any], where: str) -> Array:
    """(rows, values) float64 in the order of the device; y has the axes of the model's answer."""
    kind = graph.tensors[result_tensors(graph)[0]]
    shape, order = kind.shape, list(range(len(kind.shape)))
    if len(shape) == 3 and report.get("input_layout", CHANNELS_FIRST) == CHANNELS_FIRST:
        order = [2, 0, 1]
    wanted = tuple(shape[axis] for axis in order)
    given = y.reshape(rows, -1) if y.shape == (rows,) and kind.size == 1 else y
    fits = given.shape in ((rows, *wanted), (rows, *(n for n in wanted if n > 1)), (rows, 1))
    if given.size != rows * kind.size or not fits or y.dtype.kind not in "fiu":
        axes = ", ".join(map(str, ("N", *wanted)))
        raise BadInput(
            f"{where}: y has shape {y.shape} and type {y.dtype}; the model's answer is ({axes}), "
            f"for {rows} rows"
        )
    if not np.isfinite(given.astype(np.float64)).all():
        raise BadInput(f"{where}: y holds NaN or infinite values; remove those rows")
    back = [0, *(order.index(axis) + 1 for axis in range(len(shape)))]
    return given.astype(np.float64).reshape(rows, *wanted).transpose(back).reshape(rows, -1)


def digest_of(x: Array, y: Array) -> str:
    """Of a data set."""
    return hashlib.sha256(np.ascontiguousarray(x).tobytes() + y.tobytes()).hexdigest()

"""Two runs paired by input: the same sample of the same data, answered twice."""

from dataclasses import dataclass

import numpy as np

from edgeq.errors import BadInput
from edgeq.harness.trace import Run
from edgeq.ops.op import Array
from edgeq.reporting.run import answer


@dataclass(frozen=True)
class Pairs:
    """The inputs that both runs answered, in the order of the data. Arrays: a value an input."""

    count: int
    cycles_a: Array
    right_a: Array
    route_a: Array
    cycles_b: Array
    right_b: Array
    route_b: Array


def pair(a: Run, b: Run) -> Pairs:
    """Pairs of what both runs hold; BadInput, with the numbers, for runs of different data."""
    if a.manifest.data.digest != b.manifest.data.digest:
        raise BadInput(
            f"the runs saw different data: {_data(a)}, {_data(b)}; profile both with the same "
            "--data and models that take the same input"
        )
    count = min(len(a.records), len(b.records))
    if count < 2:
        raise BadInput(f"a comparison needs 2 inputs in both runs: {_data(a)}, {_data(b)}")
    return Pairs(count, *_columns(a, count), *_columns(b, count))


def _data(run: Run) -> str:
    digest = run.manifest.data.digest
    return f"{run.folder} {len(run.records)} samples of data {digest[:12]}"


def _columns(run: Run, count: int) -> tuple[Array, Array, Array]:
    """Cycles, whether the answer is right, and the route, of each of the first records."""
    records, classes = run.records[:count], len(run.manifest.model.classes)
    right = np.array([answer(r, classes) == r.label for r in records])
    cycles = np.array([r.cycles for r in records], np.float64)
    return cycles, right, np.array([r.route for r in records])

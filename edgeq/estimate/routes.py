"""The routes of a model, and the cycles of each one, counted on the virtual board.

A route is the set of experts that answer: one of them, or top_k. The shared layers and the router
run on every route. Where no row takes a route, the firmware's table of experts is permuted, so that
the expert that the router chose stands for the wanted one: the same call, the same code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from edgeq.board import Board
from edgeq.emit.firmware_layers import LayerInfo, mixture_of
from edgeq.errors import Mismatch
from edgeq.estimate.in_memory import InMemory
from edgeq.ir import Graph
from edgeq.ops.op import Array

Experts = tuple[int, ...]  # ascending indices; () without a mixture
ROWS_PER_ROUTE = 3
BY_ROWS, FORCED = "rows", "forced"


@dataclass(frozen=True)
class Subject:
    """What is run: int8 `rows` (rows, *input shape) and who answers them, `chosen` (rows, top_k).

    `chosen` has no columns without a mixture.
    """

    graph: Graph
    layers: tuple[LayerInfo, ...]
    rows: Array
    chosen: Array


@dataclass(frozen=True)
class RouteCycles:
    """Cycles of one route. A clock of half cycles: counts are exact multiples of 0.5.

    `layers`: of each layer, 0 where it did not run. `spread`: largest less smallest count of whole
    cycles over the `rows` that were run. `obtained`: BY_ROWS or FORCED.
    """

    experts: Experts
    cycles: float
    layers: tuple[float, ...]
    rows: int
    spread: int
    obtained: str


def all_routes(graph: Graph) -> tuple[Experts, ...]:
    """Every set of experts that may answer, in order of the indices."""
    node = mixture_of(graph)
    if node is None:
        return ((),)
    return tuple(combinations(range(len(node.attrs.experts)), node.attrs.top_k))


def route_names(graph: Graph, experts: Experts) -> tuple[str, ...]:
    """The names of a route's experts."""
    node = mixture_of(graph)
    return tuple(node.attrs.experts[e].name for e in experts) if node else ()


def counted(
    subject: Subject, board: Board, elf: Path, most_rows: int = ROWS_PER_ROUTE
) -> tuple[RouteCycles, ...]:
    """Cycles of every route of a firmware, each on `most_rows` rows at most, in route order.

    Raises Mismatch when the firmware chooses other experts than the reference.
    """
    outputs = subject.graph.tensors[subject.graph.outputs[0]].size
    firmware = InMemory(board, elf, outputs, len(subject.layers))
    return tuple(_count(firmware, subject, r, most_rows) for r in all_routes(subject.graph))


def _count(firmware: InMemory, subject: Subject, wanted: Experts, most_rows: int) -> RouteCycles:
    taken = [i for i, c in enumerate(subject.chosen.tolist()) if tuple(sorted(c)) == wanted]
    if taken:
        rows = taken[:most_rows]
        return _run(firmware, subject, rows, wanted, BY_ROWS)
    order = _permutation(subject, wanted)
    firmware.point_experts(order)
    try:
        return _run(firmware, subject, [0], wanted, FORCED)
    finally:
        firmware.point_experts(tuple(np.argsort(order).tolist()))


def _permutation(subject: Subject, wanted: Experts) -> Experts:
    """An order of the table in which the experts that row 0 takes stand for the wanted ones."""
    node = mixture_of(subject.graph)
    assert node is not None  # without one every row takes the only route
    order = list(range(len(node.attrs.experts)))
    for place, expert in zip(sorted(subject.chosen[0].tolist()), wanted, strict=True):
        at = order.index(expert)
        order[place], order[at] = order[at], order[place]
    return tuple(order)


def _run(
    firmware: InMemory, subject: Subject, rows: Sequence[int], wanted: Experts, obtained: str
) -> RouteCycles:
    """The first row in both phases of the clock: their mean is exact; the others in the first."""
    runs = [firmware.infer(subject.rows[i]) for i in rows]
    other = firmware.infer(subject.rows[rows[0]], phase=1)
    for i, ran in zip(rows, runs, strict=True):
        _check_route(subject, i, ran.route)
    pairs = zip(runs[0].layer_cycles, other.layer_cycles, strict=True)
    counts = [ran.cycles for ran in runs]
    return RouteCycles(
        experts=wanted,
        cycles=(runs[0].cycles + other.cycles) / 2 + max(counts) - counts[0],
        layers=tuple((a + b) / 2 for a, b in pairs),
        rows=len(rows),
        spread=max(counts) - min(counts),
        obtained=obtained,
    )


def _check_route(subject: Subject, row: int, route: int) -> None:
    wanted = int(subject.chosen[row, 0]) if subject.chosen.shape[1] else -1
    if route != wanted:
        raise Mismatch(
            f"row {row}: the firmware takes expert {route}, the reference expert {wanted}; export "
            "the model again"
        )

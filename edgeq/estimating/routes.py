"""The routes of a model, and the cycles of each one, counted on the virtual board.

A route is the set of experts that answer: one of them, or top_k. The shared layers and the router
run on every route. Where no row takes a route, the firmware's table of experts is permuted, so that
the expert that the router chose stands for the wanted one: the same call, the same code.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from math import ceil
from pathlib import Path

import numpy as np

from edgeq.board import Board
from edgeq.emit.firmware_layers import LayerInfo, mixture_of
from edgeq.errors import Mismatch
from edgeq.estimating.in_memory import InMemory
from edgeq.harness.messages import InferResult
from edgeq.ir import Graph
from edgeq.ops.op import Array
from edgeq.sim.config import MachineConfig

Experts = tuple[int, ...]  # ascending indices; () without a mixture
ROWS_PER_ROUTE = 3
WHOLE = "model"  # the only route of a model without a mixture
BY_ROWS, FORCED = "rows", "forced"


@dataclass(frozen=True)
class RoutedModel:
    """What is run: int8 `rows` (rows, *input shape) and who answers them, `chosen` (rows, top_k).

    `chosen` has no columns without a mixture.
    """

    graph: Graph
    layers: tuple[LayerInfo, ...]
    rows: Array
    chosen: Array


@dataclass(frozen=True)
class RouteCycles:
    """Cycles of one route. A clock of half cycles: `core` is an exact multiple of 0.5.

    `core`: as if flash answered at once; `stalls`: least and most cycles that the flash adds, from
    warm caches, (0, 0) where none is modelled; `layers`: of each layer with its stalls, 0 where it
    did not run. `spread`: largest less smallest `core` in whole cycles over the `rows` that were
    run. `obtained`: BY_ROWS or FORCED.
    """

    experts: Experts
    core: float
    stalls: tuple[int, int]
    layers: tuple[float, ...]
    rows: int
    spread: int
    obtained: str

    @property
    def cycles(self) -> float:
        """The most that any row took."""
        return self.core + self.stalls[1]


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
    subject: RoutedModel, board: Board, elf: Path, most_rows: int = ROWS_PER_ROUTE
) -> tuple[RouteCycles, ...]:
    """Cycles of every route of a firmware, each on `most_rows` rows at most, in route order.

    Raises Mismatch when the firmware chooses other experts than the reference.
    """
    sizes = subject.graph, subject.layers
    firmware = InMemory(board, elf, *sizes)
    routes = [_count(firmware, subject, r, most_rows) for r in all_routes(subject.graph)]
    if MachineConfig.of(board).flash_cache is None:
        return tuple(routes)
    stalling = InMemory(board, elf, *sizes, flash=True)
    stalling.infer(subject.rows[0])  # fills the caches
    rows = max(1, most_rows - 1)  # the model of the caches is slow
    return tuple(_with_stalls(stalling, subject, route, rows) for route in routes)


def _count(
    firmware: InMemory, subject: RoutedModel, wanted: Experts, most_rows: int
) -> RouteCycles:
    """The first row in both phases of the clock: their mean is exact; the others in the first.

    A core that is priced in whole cycles has no phases: it needs no second run.
    """
    with _taking(firmware, subject, wanted) as (rows, obtained):
        rows = rows[:most_rows]
        runs = [_infer(firmware, subject, row) for row in rows]
        halves = firmware.half_cycles
        other = _infer(firmware, subject, rows[0], phase=1) if halves else runs[0]
    pairs = zip(runs[0].layer_cycles, other.layer_cycles, strict=True)
    counts = [ran.cycles for ran in runs]
    return RouteCycles(
        experts=wanted,
        core=(runs[0].cycles + other.cycles) / 2 + max(counts) - counts[0],
        stalls=(0, 0),
        layers=tuple((a + b) / 2 for a, b in pairs),
        rows=len(rows),
        spread=max(counts) - min(counts),
        obtained=obtained,
    )


def _with_stalls(
    firmware: InMemory, subject: RoutedModel, route: RouteCycles, most_rows: int
) -> RouteCycles:
    """The same route where flash has wait states: a layer is that of the first row."""
    with _taking(firmware, subject, route.experts) as (rows, _):
        runs = [_infer(firmware, subject, row) for row in rows[:most_rows]]
    stalls = [ceil(ran.cycles - route.core) for ran in runs]
    layers = tuple(float(cycles) for cycles in runs[0].layer_cycles)
    return replace(route, stalls=(min(stalls), max(stalls)), layers=layers)


@contextmanager
def _taking(
    firmware: InMemory, subject: RoutedModel, wanted: Experts
) -> Iterator[tuple[list[int], str]]:
    """The rows that take a route and how; while it lasts, row 0 does where none would."""
    taken = [i for i, c in enumerate(subject.chosen.tolist()) if tuple(sorted(c)) == wanted]
    if taken:
        yield taken, BY_ROWS
        return
    order = permutation(subject.graph, subject.chosen[0].tolist(), wanted)
    firmware.point_experts(order)
    try:
        yield [0], FORCED
    finally:
        firmware.point_experts(tuple(np.argsort(order).tolist()))


def permutation(graph: Graph, chosen: Sequence[int], wanted: Experts) -> Experts:
    """An order of the table in which the experts that a row takes stand for the wanted ones."""
    node = mixture_of(graph)
    assert node is not None  # without one every row takes the only route
    order = list(range(len(node.attrs.experts)))
    for place, expert in zip(sorted(chosen), wanted, strict=True):
        at = order.index(expert)
        order[place], order[at] = order[at], order[place]
    return tuple(order)


def _infer(firmware: InMemory, subject: RoutedModel, row: int, phase: int = 0) -> InferResult:
    try:
        result = firmware.infer(subject.rows[row], phase)
    except ValueError as error:  # something wrote over its own result
        raise Mismatch(f"row {row}: the firmware leaves no whole result: {error}") from error
    wanted = int(subject.chosen[row, 0]) if subject.chosen.shape[1] else -1
    if result.route != wanted:
        raise Mismatch(
            f"row {row}: the firmware takes expert {result.route}, the reference expert {wanted}; "
            "export the model again"
        )
    return result

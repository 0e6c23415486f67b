"""The routes of a model, and the cycles of each one, counted on the virtual board.

A route is the set of experts that run: of a mixture one of them, or top_k; of a cascade the first
few. The shared layers and the router run on every route. Where no row takes a route, the firmware
is sent there: a mixture's table of experts is permuted, so that the expert that the router chose
stands for the wanted one, and a cascade is given thresholds that lead there. The code is the same.
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
from edgeq.ir.c_names import c_prefix
from edgeq.ops.cascade import THRESHOLDS
from edgeq.ops.op import Array
from edgeq.reference import memories, run
from edgeq.sim.config import MachineConfig

Experts = tuple[int, ...]  # ascending indices; () without a mixture
ROWS_PER_ROUTE = 3
MOST_ALONE = 64  # rows that are looked through for each route
WHOLE = "model"  # the only route of a model without a mixture
BY_ROWS, FORCED = "rows", "forced"


@dataclass(frozen=True)
class RoutedModel:
    """What is run: int8 `rows` (rows, *input shape) and who answers them: `chosen` as the
    reference's `Answered` has it, without columns where there are no experts.
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
    """Every set of experts that may run, in order of the indices."""
    node = mixture_of(graph)
    if node is None:
        return ((),)
    if node.op == "Cascade":
        return tuple(tuple(range(last + 1)) for last in range(len(node.attrs.experts)))
    return tuple(combinations(range(len(node.attrs.experts)), node.attrs.top_k))


def taken(chosen: Sequence[int]) -> Experts:
    """The route of a row of `chosen`."""
    return tuple(sorted(set(chosen)))


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
    subject = _alone(subject)
    sizes = subject.graph, subject.layers
    firmware = InMemory(board, elf, *sizes)
    routes = [_count(firmware, subject, r, most_rows) for r in all_routes(subject.graph)]
    if MachineConfig.of(board).flash_cache is None:
        return tuple(routes)
    stalling = InMemory(board, elf, *sizes, flash=True)
    stalling.infer(subject.rows[0])  # fills the caches
    rows = max(1, most_rows - 1)  # the model of the caches is slow
    return tuple(_with_stalls(stalling, subject, route, rows) for route in routes)


def _alone(subject: RoutedModel) -> RoutedModel:
    """Experts beside a state: a few rows, each with the experts that it takes after a reset."""
    if not follows_on(subject.graph):
        return subject
    rows = subject.rows[:MOST_ALONE]
    chosen = np.concatenate([run(subject.graph, row[None]).chosen for row in rows])
    return replace(subject, rows=rows, chosen=chosen)


def follows_on(graph: Graph) -> bool:
    """Whether a route hangs on the rows before."""
    return mixture_of(graph) is not None and bool(memories(graph))


def _count(
    firmware: InMemory, subject: RoutedModel, wanted: Experts, most_rows: int
) -> RouteCycles:
    """The first row in both phases of the clock: their mean is exact; the others in the first.

    A core that is priced in whole cycles has no phases: it needs no second run.
    """
    with _taking(firmware, subject, wanted) as (rows, obtained):
        rows = rows[:most_rows]
        runs = [_infer(firmware, subject, row, wanted) for row in rows]
        halves = firmware.half_cycles
        other = _infer(firmware, subject, rows[0], wanted, phase=1) if halves else runs[0]
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
        runs = [_infer(firmware, subject, row, route.experts) for row in rows[:most_rows]]
    stalls = [ceil(ran.cycles - route.core) for ran in runs]
    layers = tuple(float(cycles) for cycles in runs[0].layer_cycles)
    return replace(route, stalls=(min(stalls), max(stalls)), layers=layers)


@contextmanager
def _taking(
    firmware: InMemory, subject: RoutedModel, wanted: Experts
) -> Iterator[tuple[list[int], str]]:
    """The rows that take a route and how; while it lasts, row 0 does where none would."""
    own = [i for i, c in enumerate(subject.chosen.tolist()) if taken(c) == wanted]
    if own:
        yield own, BY_ROWS
        return
    with sent(firmware, subject.graph, forcing(subject.graph, subject.chosen[0].tolist(), wanted)):
        yield [0], FORCED


@contextmanager
def sent(firmware: InMemory, graph: Graph, forced: Experts | None) -> Iterator[None]:
    """While it lasts, a row takes the route that `forcing` was asked for; None: its own."""
    if forced is None:
        yield
        return
    node = mixture_of(graph)
    assert node is not None  # who can be sent has experts
    table = f"{c_prefix(graph.name)}_thresholds" if node.op == "Cascade" else None
    if table is None:
        firmware.point_experts(forced)
    else:
        firmware.set_thresholds(table, forced)
    try:
        yield
    finally:
        if table is None:
            firmware.point_experts(tuple(np.argsort(forced).tolist()))
        else:
            firmware.set_thresholds(table, graph.param(node, THRESHOLDS).tolist())


def forcing(graph: Graph, chosen: Sequence[int], wanted: Experts) -> Experts:
    """What sends a row that is answered by `chosen` on the wanted route.

    A mixture: an order of the table in which the experts that the row takes stand for the wanted
    ones. A cascade: thresholds by which every row takes it.
    """
    node = mixture_of(graph)
    assert node is not None  # without one every row takes the only route
    if node.op == "Cascade":
        rule, stages = node.attrs.rule, range(len(node.attrs.experts) - 1)
        return tuple(rule.always if stage < len(wanted) - 1 else rule.never for stage in stages)
    order = list(range(len(node.attrs.experts)))
    for place, expert in zip(sorted(chosen), wanted, strict=True):
        at = order.index(expert)
        order[place], order[at] = order[at], order[place]
    return tuple(order)


def _infer(
    firmware: InMemory, subject: RoutedModel, row: int, route: Experts, phase: int = 0
) -> InferResult:
    if follows_on(subject.graph):
        firmware.reset()
    try:
        result = firmware.infer(subject.rows[row], phase)
    except ValueError as error:  # something wrote over its own result
        raise Mismatch(f"row {row}: the firmware leaves no whole result: {error}") from error
    wanted = int(subject.chosen[row, 0]) if subject.chosen.shape[1] else -1
    node = mixture_of(subject.graph)
    if node is not None and node.op == "Cascade":
        wanted = route[-1]  # it may have been sent there, and then says so
    if result.route != wanted:
        raise Mismatch(
            f"row {row}: the firmware takes expert {result.route}, the reference expert {wanted}; "
            "export the model again"
        )
    return result

"""An export's firmware with what it costs, and the curiosity that promise and budget allow."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeq.board import Board, is_core, runnable_board, target_board
from edgeq.compiled import Compiled, compile_graph
from edgeq.emit.firmware_layers import mixture_of
from edgeq.errors import BadInput
from edgeq.estimating.boards import Estimated, on_board
from edgeq.estimating.budget import Budget, strongest_router, unreachable
from edgeq.estimating.cost import Shares
from edgeq.estimating.promised import (
    Promised,
    escalation,
    settled,
    threshold_entry,
    with_limits,
    within_mean,
)
from edgeq.estimating.routes import Experts, all_routes, route_names
from edgeq.fit import check_fit
from edgeq.ops.op import Array
from edgeq.passes import Quantized
from edgeq.passes.freeze_router import freeze_router
from edgeq.passes.verify import verify
from edgeq.sim.faults import GuestFault
from edgeq.sim.runnable import why_not_run
from edgeq.staging import staged_places
from edgeq.thresholds import by_risk
from edgeq.thresholds.staged import limits_of
from edgeq.thresholds.words import promise_words
from edgeq.toolchain import OPTIMIZE, Compiler, Firmware, build, with_board

ROWS_PER_ROUTE = 1  # an export should take seconds; `edgeq estimate` compares rows


@dataclass(frozen=True)
class Identity:
    """The model's name and digest, the calibration `rows` as int8, the target and the compiler.

    `class_names` stand in the header; `weights_as`: how large arrays do (emit/firmware_arrays.py).
    `notes`: what a user should know of the model under the benchmark `mlperf_id`.
    """

    name: str
    digest: str
    rows: Array
    target: str
    compiler: Compiler
    mlperf_id: str | None = None
    class_names: tuple[str, ...] | None = None
    weights_as: str = "auto"
    notes: tuple[str, ...] = ()

    @property
    def board(self) -> Board:
        """What the firmware is built for."""
        return target_board(self.target)

    @property
    def lender(self) -> Board:
        """Whose name and energy figures the estimate carries."""
        return runnable_board(self.target)


@dataclass(frozen=True)
class Costed:
    """A compiled model, its firmware and its estimate's entry; `cost` None: `no_cost` says why.

    `threshold`: what was promised and how it was proven, None where nothing was. `firmware` lies
    in the scratch folder that the caller gave.
    """

    quantized: Quantized
    compiled: Compiled
    firmware: Firmware
    shares: Shares
    cost: dict[str, Any] | None
    no_cost: str
    threshold: dict[str, Any] | None = None

    @property
    def routes(self) -> dict[str, int]:
        """How many calibration rows take each route, by the names of its experts."""
        graph, counts = self.quantized.graph, self.shares.counts
        return {
            "+".join(route_names(graph, route)): counts.get(route, 0) for route in all_routes(graph)
        }


def within_budget(
    quantized: Quantized,
    of: Identity,
    budget: Budget,
    scratch: Path,
    promised: Promised | None = None,
) -> Costed:
    """Builds the model in `scratch` and counts it; moves curiosity until promise and budget hold.

    With a promise the cheapest threshold that keeps it is taken, else the strongest curiosity, or
    the safest cascade, that the budget allows. Raises MemoryBudget where a board has no room,
    CostBudget with the numbers when the worst case or every expected case costs too much, BadInput
    for a budget that cannot be checked, or a promise that the model cannot make or its rows cannot
    prove.
    """
    costed = _costed(quantized, of, scratch)
    if not budget.asked and promised is None:
        return costed
    if costed.cost is None:
        raise BadInput(f"latency and energy cannot be limited here: {costed.no_cost}")
    budget.check_board(of.lender)
    budget.check_worst(costed.cost)
    if promised is not None:
        return _promising(costed, of, budget, scratch, promised)
    return _weakened(costed, of, budget, scratch)


def _promising(
    costed: Costed, of: Identity, budget: Budget, scratch: Path, promised: Promised
) -> Costed:
    quantized, cycles = costed.quantized, _cycles(costed, of.board)
    found = escalation(quantized, cycles, promised)
    choice = by_risk(found.stages, found.steps, promised.promise)
    if choice.mean_cost > budget.most_mean_cycles(of.lender):
        at = "at no threshold that keeps the promise"
        raise unreachable(budget, of.lender, choice.mean_cost, at, "threshold data's")
    entry = threshold_entry(quantized.graph, found, choice, promised, of.board, of.lender)
    costed = _costed(settled(quantized, found, choice.thresholds), of, scratch)
    remark = f"With the threshold as exported the model {promise_words(entry)}."
    project = with_board(costed.compiled.with_remark(remark).project, of.board)
    compiled = replace(costed.compiled, project=project)
    return replace(costed, compiled=compiled, threshold=entry)


def _weakened(costed: Costed, of: Identity, budget: Budget, scratch: Path) -> Costed:
    quantized = costed.quantized
    node, cycles = mixture_of(quantized.graph), _cycles(costed, of.board)
    if node is None or quantized.seen is None:
        return _safest(costed, of, budget, scratch)
    router = strongest_router(node.attrs, quantized.seen, cycles, budget, of.lender)
    if router == node.attrs.router:
        return costed
    graph, curiosity = freeze_router(quantized.graph, quantized.seen, router)
    other = replace(quantized, graph=verify(graph, "lowered"), curiosity=curiosity)
    return _costed(other, of, scratch)


def _safest(costed: Costed, of: Identity, budget: Budget, scratch: Path) -> Costed:
    """A cascade with its own thresholds if they meet the mean budget, else the safest that do."""
    quantized, cycles = costed.quantized, _cycles(costed, of.board)
    mean, most = costed.shares.expected(cycles), budget.most_mean_cycles(of.lender)
    if mean <= most:
        return costed
    node = mixture_of(quantized.graph)
    if node is None:
        raise unreachable(budget, of.lender, mean)
    choice = within_mean(quantized, cycles, most)
    if choice is None:
        least = cycles[(0,)]  # every row stops at the first expert
        raise unreachable(budget, of.lender, least, "at no threshold")
    return _costed(with_limits(quantized, limits_of(node.attrs, choice.thresholds)), of, scratch)


def _cycles(costed: Costed, board: Board) -> dict[Experts, float]:
    """Exact cycles by route: an entry rounds half a cycle up."""
    routes, entries = all_routes(costed.quantized.graph), (costed.cost or {})["routes"]
    exact = (round(2 * r["latency_s"] * board.clock_hz) / 2 for r in entries)
    return dict(zip(routes, exact, strict=True))


def _costed(quantized: Quantized, of: Identity, scratch: Path) -> Costed:
    board = of.board
    graph = quantized.graph.with_staged(staged_places(quantized.graph, board))
    compiled = compile_graph(
        graph,
        of.name,
        of.digest,
        mlperf_id=of.mlperf_id,
        class_names=of.class_names,
        weights_as=of.weights_as,
    )
    if not is_core(of.target):
        check_fit(board, compiled)
    compiled = replace(compiled, project=with_board(compiled.project, board))
    chosen = quantized.chosen(len(of.rows))
    shares = Shares.of_rows("calibration", chosen)
    model = Estimated(of.name, of.digest, graph, of.rows, "calibration", chosen, shares)
    firmware = build(compiled.project, board, of.compiler, scratch / "build", OPTIMIZE)
    cost, why = _cost(model, compiled, of, firmware)
    return Costed(quantized, compiled, firmware, shares, cost, why)


def _cost(
    model: Estimated, compiled: Compiled, of: Identity, firmware: Firmware
) -> tuple[dict[str, Any] | None, str]:
    """The estimate's entry; None and why for a core or port that cannot be run virtually."""
    board = of.board
    if (why := why_not_run(board)) is not None:
        return None, why
    lender = of.lender if is_core(of.target) else None
    try:
        entry = on_board(model, compiled, board, firmware, lender=lender, most_rows=ROWS_PER_ROUTE)
        return entry, ""
    except GuestFault as error:
        return None, f"the virtual {board.name} cannot run this port: {error.report.reason}"

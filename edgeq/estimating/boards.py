"""One model on several boards: built for each as it would be flashed, then counted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeq.board import Board
from edgeq.compiled import Compiled, compile_graph
from edgeq.errors import BadInput, MemoryBudget
from edgeq.estimating.cost import Shares
from edgeq.estimating.entry import board_entry
from edgeq.estimating.explained import explained
from edgeq.estimating.proof import proof_entry
from edgeq.estimating.routes import ROWS_PER_ROUTE, RoutedModel, all_routes, counted, route_names
from edgeq.export_folder import EVALUATION, GRAPH, export_rows, read_project, read_report
from edgeq.files import scratch_folder
from edgeq.firmware_project import FirmwareProject
from edgeq.fit import check_fit
from edgeq.ir import Graph
from edgeq.kernels import kernel_named
from edgeq.ops.op import Array
from edgeq.passes.freeze_router import chosen_experts
from edgeq.passes.select_kernels import select_kernels
from edgeq.passes.stored_graph import stored_graph
from edgeq.reference import quantize_rows, random_rows
from edgeq.sim.runnable import why_not_run
from edgeq.staging import stage_weights
from edgeq.toolchain import OPTIMIZE, Compiler, Firmware, build, with_board

RANDOM_ROWS, MOST_ROWS = 16, 200
Watch = Callable[[str], None]


@dataclass(frozen=True)
class Estimated:
    """A lowered model to estimate. `project` is an export's own firmware, if there is one.

    `rows` (rows, *input shape) int8 are run, those of the set `rows_of`; `chosen` (rows, top_k)
    are their experts; `shares` weigh the routes.
    """

    name: str
    digest: str
    graph: Graph
    rows: Array
    rows_of: str
    chosen: Array
    shares: Shares | None
    project: FirmwareProject | None = None


def of_folder(folder: Path) -> Estimated:
    """What `edgeq export` wrote. Raises ModelFile when there is none, BadInput for its rows.

    The routes are weighed by the calibration rows if the export counted them, else by the
    evaluation rows. Without an evaluation set random rows are run.
    """
    report, graph = read_report(folder), stored_graph(folder / GRAPH)
    rows, rows_of = _rows(folder, report, graph)
    chosen, shares = chosen_experts(graph, rows), _recorded_shares(report, graph)
    if shares is None and rows_of == "evaluation":
        shares = Shares.of_rows(rows_of, chosen)
    name, digest = str(report.get("model", "model")), str(report["model_digest"])
    return Estimated(name, digest, graph, rows, rows_of, chosen, shares, read_project(folder))


def _rows(folder: Path, report: Mapping[str, Any], graph: Graph) -> tuple[Array, str]:
    source = folder / EVALUATION
    if source.is_file():
        x = export_rows(report, source)
        return quantize_rows(graph, x[:MOST_ROWS]), "evaluation"
    return random_rows(graph, RANDOM_ROWS), "random"


def _recorded_shares(report: Mapping[str, Any], graph: Graph) -> Shares | None:
    """The routes of the calibration rows as the export counted them."""
    counts = report.get("routes")
    if not isinstance(counts, dict):
        return None
    names = {"+".join(route_names(graph, route)): route for route in all_routes(graph)}
    known = {names[name]: int(n) for name, n in counts.items() if name in names}
    return Shares("calibration", sum(known.values()), known) if sum(known.values()) else None


def estimate_boards(
    model: Estimated,
    boards: Sequence[Board],
    compiler: Compiler,
    *,
    prove: bool = False,
    explain: Sequence[str] = (),
    watch: Watch | None = None,
) -> dict[str, Any]:
    """The JSON object of `edgeq estimate`. `watch` hears each board's name before its turn.

    `prove`: trace the input through every instruction, too. `explain`: layers whose choice of a
    kernel is told. A board that the model does not fit has an entry that says so. Raises BadInput
    for a core without a clock or a port without a twin, Toolchain, and MemoryBudget when no board
    has room.
    """
    entries = []
    for board in boards:
        if watch:
            watch(board.name)
        try:
            entries.append(_estimate(model, board, compiler, prove, explain))
        except MemoryBudget as error:
            if len(boards) == 1:
                raise
            entries.append({"board": board.name, "fits": False, "error": str(error)})
    if not any(entry["fits"] for entry in entries):
        raise MemoryBudget("; ".join(entry["error"] for entry in entries))
    return {"model": model.name, "model_digest": model.digest, "boards": entries}


def _estimate(
    model: Estimated, board: Board, compiler: Compiler, prove: bool, explain: Sequence[str]
) -> dict[str, Any]:
    if (why := why_not_run(board)) is not None:
        raise BadInput(why)
    graph = model.graph
    own = model.project if runs_on(graph, board) else None
    if own is None:
        graph = stage_weights(select_kernels(graph, board.features), board)
    compiled = compile_graph(graph, model.name, model.digest, project=own)
    check_fit(board, compiled)
    with scratch_folder() as scratch:
        project = with_board(compiled.project, board)
        built = build(project, board, compiler, scratch, OPTIMIZE)
        entry = on_board(model, compiled, board, built, prove=prove)
    if model.project is not None and own is None:
        entry["notes"].append(f"kernels chosen anew: the export's do not run on {board.core}")
    if explain:
        entry["explained"] = [explained(graph, name, board, compiler) for name in explain]
    return {"fits": True, **entry}


def runs_on(graph: Graph, board: Board) -> bool:
    """Whether the board's core has what the kernels of the graph need."""
    nodes = list(graph.nodes)
    for node in graph.nodes:
        nodes += [n for e in getattr(node.attrs, "experts", ()) for n in e.graph.nodes]
    return all(kernel_named(n.kernel).needs <= board.features for n in nodes if n.kernel)


def on_board(
    model: Estimated,
    compiled: Compiled,
    board: Board,
    built: Firmware,
    *,
    lender: Board | None = None,
    most_rows: int = ROWS_PER_ROUTE,
    prove: bool = False,
) -> dict[str, Any]:
    """The entry of a firmware that was built for `board`; `lender` names a bare core's figures."""
    subject = RoutedModel(compiled.graph, compiled.layers, model.rows, model.chosen)
    routes = counted(subject, board, built.elf, most_rows)
    entry = board_entry(board, built, subject, routes, model.shares, lender)
    proof = proof_entry(subject, board, built.elf, routes, trace=prove)
    return {**entry, "rows_of": model.rows_of, "constant_time": proof}

"""What a board's part of an estimate says: every figure with where it comes from."""

from collections.abc import Sequence
from math import ceil
from typing import Any

from edgeq.board import Board, Energy
from edgeq.emit.firmware_layers import MIXTURE_OP, mixture_of
from edgeq.estimating.cost import Shares, cases, figures
from edgeq.estimating.routes import FORCED, WHOLE, RouteCycles, RoutedModel, route_names
from edgeq.ops.routed import for_the_router
from edgeq.passes.select_kernels import fallbacks
from edgeq.reporting.clock_model import clock_model
from edgeq.reporting.export import layer_name
from edgeq.toolchain import Firmware

SOURCE = "modelled"
DEAR_ROUTER = 0.05  # of the cheapest route: a router above this is worth a word
BY_ROWS = "rows that take this route"
SENT = {
    "Mixture": "the table of experts was permuted",
    "Cascade": "thresholds were set that lead there",
}


def board_entry(
    board: Board,
    built: Firmware,
    subject: RoutedModel,
    routes: Sequence[RouteCycles],
    shares: Shares | None,
    lender: Board | None = None,
) -> dict[str, Any]:
    """The JSON object of one board. `lender` lends a bare core its name and energy figures."""
    named = lender or board
    energy = named.energy
    return {
        "board": named.name,
        "source": SOURCE,
        **clock_model(board),
        "clock_hz": board.clock_hz,
        "compiler": built.compiler,
        "flags": list(built.flags),
        "flash_bytes": built.flash_bytes,
        "ram_bytes": built.ram_bytes,
        "energy_kind": energy.kind if energy else None,
        "energy_source": energy.source if energy else None,
        "routes": [_route(r, subject, shares, board, energy) for r in routes],
        "layers": _layers(subject, routes, board, energy),
        **cases(routes, shares, board, energy),
        "warnings": _router_price(subject, routes),
        "notes": _notes(board, named, subject, routes),
    }


def _route(
    route: RouteCycles,
    subject: RoutedModel,
    shares: Shares | None,
    board: Board,
    energy: Energy | None,
) -> dict[str, Any]:
    return {
        "name": _name(subject, route),
        "experts": list(route_names(subject.graph, route.experts)),
        **figures(route.cycles, board, energy),
        "share": shares.share(route.experts) if shares else None,
        "rows": route.rows,
        "core_cycles": ceil(route.core),
        "flash_stall_cycles": list(route.stalls),
        "spread_cycles": route.spread,
        "obtained": f"no row takes it: {_sent(subject)}" if route.obtained == FORCED else BY_ROWS,
    }


def _layers(
    subject: RoutedModel, routes: Sequence[RouteCycles], board: Board, energy: Energy | None
) -> list[dict[str, Any]]:
    """Each layer on the first route that runs it."""
    entries = []
    for i, info in enumerate(subject.layers):
        cycles = next((r.layers[i] for r in routes if r.layers[i]), 0.0)
        entries.append(
            {"name": layer_name(info), "op": info.op, "expert": info.expert, "kernel": info.kernel}
            | figures(cycles, board, energy)
        )
    return entries


def _name(subject: RoutedModel, route: RouteCycles) -> str:
    return "+".join(route_names(subject.graph, route.experts)) or WHOLE


def _fallback_notes(board: Board, subject: RoutedModel, routes: Sequence[RouteCycles]) -> list[str]:
    """What runs beside the core's fast kernels, with its price on the dearest route."""
    found = {(f.expert, f.layer): f for f in fallbacks(subject.graph, board.features)}
    notes = []
    for i, info in enumerate(subject.layers):
        fallback, cycles = found.get((info.expert, info.name)), max(r.layers[i] for r in routes)
        if fallback is None or not cycles:
            continue
        each = f" ({cycles / info.macs:.1f} a multiply)" if info.macs else ""
        share = max(r.layers[i] / r.cycles for r in routes)
        notes.append(f"{fallback}: {ceil(cycles):,} cycles{each}, up to {share:.1%} of a route")
    return notes


def _router_price(subject: RoutedModel, routes: Sequence[RouteCycles]) -> list[str]:
    """A router that costs a good part of what it can save, with the numbers.

    What makes its input and serves nothing else is a part of its price.
    """
    feeding = for_the_router(subject.graph)
    own = [i for i, info in enumerate(subject.layers) if info.op == MIXTURE_OP]
    before = [i for i, at in enumerate(subject.layers) if at.expert is None and at.name in feeding]
    router, inputs = (max(sum(r.layers[i] for i in at) for r in routes) for at in (own, before))
    router += inputs
    cheapest = min(routes, key=lambda route: route.cycles)
    share = router / cheapest.cycles
    if share <= DEAR_ROUTER:
        return []
    made = f" ({ceil(inputs):,} of them for its input)" if inputs else ""
    return [
        f"the router takes {ceil(router):,} cycles{made}, {share:.1%} of the cheapest route "
        f"({_name(subject, cheapest)}, {ceil(cheapest.cycles):,}); above {DEAR_ROUTER:.0%} it "
        "rarely pays: give it fewer or smaller hidden layers, or fewer passes"
    ]


def _sent(subject: RoutedModel) -> str:
    node = mixture_of(subject.graph)
    return SENT[node.op] if node else ""


def _notes(
    board: Board, named: Board, subject: RoutedModel, routes: Sequence[RouteCycles]
) -> list[str]:
    notes = [f"no run of {named.name} on silicon is recorded: every figure is modelled"]
    if board.evidence == "silicon":
        notes = ["modelled, not the board's own count: `edgeq profile` has that"]
    if named.energy is None:
        notes.append(f"the board file of {named.name} has no energy figures: no joules")
    if board.flash.wait_states and board.flash.cache is None:
        waits = board.flash.wait_states
        notes.append(f"as if flash answered at once: its {waits} wait states are not modelled")
    elif board.flash.wait_states:
        share = max(r.stalls[1] / r.cycles for r in routes)
        if share >= 0.0005:  # what would be printed as 0.0 % is none
            notes.append(f"up to {share:.1%} of a route's cycles are misses of the flash's caches")
    notes += _fallback_notes(board, subject, routes)
    forced = [_name(subject, r) for r in routes if r.obtained == FORCED]
    if forced:
        notes.append(
            f"no row that was run takes {', '.join(forced)}: to count it, {_sent(subject)}"
        )
    spread = max(r.spread for r in routes)
    if spread > 1:
        notes.append(f"rows of one route differ by up to {spread:,} cycles: kernels branch on data")
    return notes

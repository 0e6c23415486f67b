"""How far the time of a route is proven not to depend on the input: what was read, what traced."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeq.board import Board
from edgeq.constant_time import Audit, audit, trace_inference
from edgeq.constant_time.trace import ACCESS, BRANCH, JUMP, LOOK_UP, SCATTER, Trace
from edgeq.emit.firmware_layers import mixture_of
from edgeq.estimating.in_memory import InMemory
from edgeq.estimating.routes import RouteCycles, RoutedModel, all_routes, forcing, sent
from edgeq.sim import Machine

PROVEN, FOLLOWS, OPEN = "proven", "depends on the input", "not traced"


def proof_entry(
    subject: RoutedModel, board: Board, elf: Path, routes: Sequence[RouteCycles], *, trace: bool
) -> dict[str, Any]:
    """`constant_time` of a board's entry: the audit, the trace if asked for, and what they say.

    `core_cycles`: "proven", "depends on the input" or "not traced" for cycles without the flash.
    """
    read = audit(elf, board.core)
    traced = _trace(subject, board, elf) if trace else None
    decides = {} if traced is None else _decides(subject, traced)
    verdict = _verdict(read, traced, routes, decides)
    return {
        "core_cycles": verdict,
        "said": _said(verdict, read, traced, routes, decides),
        "audit": asdict(read),
        "trace": None if traced is None else _entry(subject, traced, decides),
    }


def _trace(subject: RoutedModel, board: Board, elf: Path) -> Trace:
    """Of one inference; a cascade's runs every stage, so that each decision is seen, and no expert
    is left to look up in its table, which a compiler leaves out where there are two.
    """
    node = mixture_of(subject.graph)
    firmware = InMemory(board, elf, subject.graph, subject.layers)
    every, left = None, len(node.attrs.experts) if node else 0
    if node is not None and node.op == "Cascade":
        every, left = forcing(subject.graph, (), all_routes(subject.graph)[-1]), 0
    with sent(firmware, subject.graph, every):
        firmware.infer(subject.rows[0])
        assert isinstance(firmware.machine, Machine)  # estimates are of cores with a clock model
        return trace_inference(firmware.machine, elf, left)


def _decides(subject: RoutedModel, traced: Trace) -> dict[str, int]:
    """Where the input decides what runs next, the choice of the experts left out."""
    left = {key: n for key, n in traced.found.items() if not _chooses(subject, key, n)}
    return Trace(traced.instructions, left).sites(BRANCH, ACCESS, JUMP)


def _chooses(subject: RoutedModel, found: tuple[str, str], times: int) -> bool:
    """Whether <model>_infer chooses experts there: a mixture by its jump through their table, a
    cascade by as many branches as it has thresholds.
    """
    node = mixture_of(subject.graph)
    name, kind = found
    if node is None or not name.endswith("_infer"):
        return False
    if node.op == "Cascade":
        return kind == BRANCH and times == len(node.attrs.experts) - 1
    return kind == JUMP


def _verdict(
    read: Audit, traced: Trace | None, routes: Sequence[RouteCycles], decides: dict[str, int]
) -> str:
    if not read.fixed_instructions or max(r.spread for r in routes) > 1:
        return FOLLOWS
    if traced is None:
        return OPEN
    return FOLLOWS if decides else PROVEN


def _entry(subject: RoutedModel, traced: Trace, decides: dict[str, int]) -> dict[str, Any]:
    return {
        "instructions": traced.instructions,
        "decides": decides,
        "chooses_experts": sum(n for key, n in traced.found.items() if _chooses(subject, key, n)),
        "look_ups": traced.sites(LOOK_UP),
        "scattered_stores": traced.sites(SCATTER),
    }


def _said(
    verdict: str,
    read: Audit,
    traced: Trace | None,
    routes: Sequence[RouteCycles],
    decides: dict[str, int],
) -> str:
    """The verdict in a sentence, with what it rests on."""
    whole = f"{read.instructions:,} instructions of {read.functions} functions"
    fixed = f"no divide, no early-ending multiply in {whole}"
    if not read.fixed_instructions:
        found = ", ".join(dict.fromkeys((*read.divides, *read.early_multiplies)))
        fixed = f"time follows operands in {found}"
    measured = _measured(routes)
    if traced is None:
        return f"{verdict}: {fixed}; {measured}; branches are traced by `edgeq estimate --prove`"
    where = ", ".join(f"{name} ({n:,} times)" for name, n in decides.items())
    follows = f"the input decides in {where}" if decides else "none decides what runs by the input"
    return (
        f"{verdict}: of {traced.instructions:,} traced instructions {follows}; {fixed}; {measured}"
    )


def _measured(routes: Sequence[RouteCycles]) -> str:
    if all(route.rows == 1 for route in routes):
        return "one row of each route was run, so none were compared"
    rows, spread = sum(r.rows for r in routes), max(r.spread for r in routes)
    return f"{rows} rows differ by {spread} cycles within their route"

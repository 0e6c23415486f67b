"""The firmware against the integer reference, byte for byte, on every route."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgeq.board import Board
from edgeq.emit.firmware_layers import layers_of
from edgeq.errors import Link, Mismatch
from edgeq.estimating.in_memory import InMemory
from edgeq.estimating.routes import WHOLE, Experts, all_routes, follows_on, route_names, sent
from edgeq.harness.messages import InferResult
from edgeq.ir import Graph
from edgeq.ir.ports import outputs_of
from edgeq.ops.op import Array
from edgeq.prove.check import Check
from edgeq.prove.drills import Drills, turns
from edgeq.prove.trials import LEAST_ROWS, MOST_ROWS, ROWS, Answer, Trial, after, trials
from edgeq.prove.watched_layers import Difference, WatchedLayers, expected_of
from edgeq.reference import memories
from edgeq.sim.faults import GuestFault
from edgeq.weights import pack_weights

# What a virtual board counts in 10 seconds of processor time, and in one (docs/simulator.md), so
# that the number of rows, unlike a stopwatch's, is the same on every computer.
MOST_CYCLES, CHEAP_CYCLES = 200_000_000, 20_000_000
SHOWN = 3

Runner = Callable[[Sequence[Trial]], Iterable[Answer]]


def check_on_twin(graph: Graph, rows: Array, board: Board, elf: Path) -> Check:
    """The ELF on the board's virtual twin, in memory.

    At least LEAST_ROWS rows a route, ROWS where they take no more than MOST_CYCLES, up to MOST_ROWS
    within CHEAP_CYCLES. Raises GuestFault when the twin cannot run the port, Mismatch when the
    firmware itself faults.
    """
    layers = layers_of(graph, pack_weights(graph))
    twin = InMemory(board, elf, graph, [layer.info for layer in layers])
    watched = WatchedLayers(twin.machine, layers)
    first = list(_on_twin(twin, watched, graph, trials(graph, rows, 1)[0]))
    count = rows_within(sum(result.cycles for result, _ in first))
    asked = [trial for each in trials(graph, rows, count) for trial in each]
    if memories(graph):  # from the start again: what is expected of a layer hangs on all before it
        twin.reset()
        first = []
    results = [*first, *_on_twin(twin, watched, graph, asked[len(first) :])]
    answers = [answer_of(graph, result) for result, _ in results]
    check = compare(graph, asked, answers, f"virtual {board.name}")
    check = _with_layers(check, [difference for _, difference in results])
    if not check.passed or not watched.layers:
        return check
    drills = Drills(watched.layers, max(LEAST_ROWS, count // 2))
    drilled = list(_drilled(twin, watched, graph, _drillable(graph, asked), drills))
    check = _with_layers(check, drilled)
    more = (
        f"; so is every output of {len(watched.layers)} layers, of these rows and of "
        f"{drills.least} seeded inputs of each layer's own"
    )
    return replace(check, said=check.said + more) if check.passed else check


def _drillable(graph: Graph, asked: Sequence[Trial]) -> Sequence[Trial]:
    """Trials that take their routes whatever ran before: with a state as after a reset."""
    if not follows_on(graph):
        return asked
    return [after(graph, trial, None)[0] for trial in asked[: ROWS * len(all_routes(graph))]]


def _with_layers(check: Check, found: Sequence[Difference | None]) -> Check:
    """The check with what the layers' own outputs say: one differing byte in any fails it."""
    apart = [each for each in found if each is not None]
    if not apart:
        return check
    text = f"{apart[0].said}, in {len(apart)} of {len(found)} runs"
    said = f"{check.by}: {text}" if check.passed else f"{check.said}; {text}"
    return replace(check, passed=False, departs=apart[0].layer, said=said)


def rows_within(cycles: int) -> int:
    """Rows a route, from the cycles of one row on every route."""
    dear = min(ROWS, max(LEAST_ROWS, MOST_CYCLES // max(1, cycles)))
    return max(dear, min(MOST_ROWS, CHEAP_CYCLES // max(1, cycles)))


def _on_twin(
    twin: InMemory, watched: WatchedLayers, graph: Graph, asked: Sequence[Trial]
) -> Iterator[tuple[InferResult, Difference | None]]:
    """What the firmware answers to each trial, and the first layer of it that differs."""
    for trial, expected in zip(asked, expected_of(graph, asked), strict=True):
        watched.begin(expected)
        yield _inference(twin, graph, trial), watched.finish()


def _inference(twin: InMemory, graph: Graph, trial: Trial) -> InferResult:
    """One trial on the twin. Raises GuestFault where the port is the fault's reason."""
    try:
        with sent(twin, graph, trial.forced):
            return twin.infer(trial.row)
    except GuestFault as fault:
        if fault.report.function.startswith("hal_"):
            raise  # the port, which this twin does not model
        raise Mismatch(f"firmware: the inference faults: {fault.report.reason}") from fault
    except (Link, ValueError) as error:
        raise Mismatch(f"firmware: the inference leaves no whole result: {error}") from error


def _drilled(
    twin: InMemory,
    watched: WatchedLayers,
    graph: Graph,
    asked: Sequence[Trial],
    drills: Drills,
) -> Iterator[Difference | None]:
    """Every layer on inputs of its own, and the first that differs in each inference. The answers
    are nobody's. Layers ahead of a router stay as they are while its experts are fed, so that the
    trial takes its route; so do a cascade's earlier experts.
    """
    fresh = follows_on(graph)
    for owners, trials_of in turns(graph, asked, drills.owning):
        drills.owners = owners
        for n in range(drills.count):
            watched.begin(drills)
            if fresh:
                twin.reset()
            _inference(twin, graph, trials_of[n % len(trials_of)])
            yield watched.finish()


def check_with(graph: Graph, rows: Array, runner: Runner, by: str) -> Check:
    """Every trial through `runner`, which `by` names."""
    asked = [trial for each in trials(graph, rows, MOST_ROWS) for trial in each]
    return compare(graph, asked, list(runner(asked)), by)


def answer_of(graph: Graph, result: InferResult) -> Answer:
    """What a firmware's result region says."""
    output = outputs_of(graph).pack(result.output)
    return Answer(output, result.route, round(result.uncertainty * 2**24))


def compare(graph: Graph, asked: Sequence[Trial], answers: Sequence[Answer], by: str) -> Check:
    """The check of answers to trials; one differing byte fails it."""
    wrong = [(t, a) for t, a in zip(asked, answers, strict=True) if t.wanted != a]
    codes = [
        (_codes(graph, t.wanted), _codes(graph, a)) for t, a in zip(asked, answers, strict=True)
    ]
    apart = [np.abs(wanted - got) for wanted, got in codes]
    classes = outputs_of(graph).ports[0].size
    best = [wanted[:classes].argmax() == got[:classes].argmax() for wanted, got in codes]
    same = [t.wanted.route == a.route for t, a in zip(asked, answers, strict=True)]
    routes = Counter(name_of(graph, t.experts) for t in asked)
    forced = sum(t.forced is not None for t in asked)
    return Check(
        name="firmware",
        samples=len(asked),
        mismatches=len(wrong),
        max_lsb=max(int(a.max(initial=0)) for a in apart),
        mean_lsb=float(np.concatenate(apart).mean()),
        top1_agreement=float(np.mean(best)),
        route_agreement=float(np.mean(same)),
        passed=not wrong,
        said=_said(graph, wrong, routes, forced, by),
        by=by,
        routes=dict(routes),
        forced=forced,
    )


def _codes(graph: Graph, answer: Answer) -> Array:
    return outputs_of(graph).unpack(answer.output).astype(np.int64)


def name_of(graph: Graph, experts: Experts) -> str:
    """A route by the names of its experts."""
    return "+".join(route_names(graph, experts)) or WHOLE


def _said(
    graph: Graph,
    wrong: Sequence[tuple[Trial, Answer]],
    routes: Counter[str],
    forced: int,
    by: str,
) -> str:
    total, fewest = sum(routes.values()), min(routes.values())
    sent = f", {forced} of them sent there" if forced else ""
    few = "" if fewest >= ROWS else f" (8 would take more than {MOST_CYCLES:,} cycles)"
    run = f"{fewest} rows a route{few}{sent}" if len(routes) > 1 else f"{total} rows{few}"
    if not wrong:
        return f"{by}: outputs, routes and uncertainty are the reference's, byte for byte: {run}"
    shown = "; ".join(_difference(graph, *each) for each in wrong[:SHOWN])
    return f"{by}: {len(wrong)} of {total} answers are not the reference's: {shown}"


def _value_name(graph: Graph, index: int) -> str:
    """Value `index` of all outputs: of several ports with the port's name."""
    ports = outputs_of(graph).ports
    if len(ports) == 1:
        return str(index)
    for port in ports:
        if index < port.size:
            break
        index -= port.size
    return f"{port.name}[{index}]"


def _difference(graph: Graph, trial: Trial, got: Answer) -> str:
    where = f"on route {name_of(graph, trial.experts)}"
    wanted, said = (_codes(graph, answer) for answer in (trial.wanted, got))
    bad = np.flatnonzero(wanted != said)
    if bad.size:
        a, b = int(wanted[bad[0]]), int(said[bad[0]])
        return f"output {_value_name(graph, int(bad[0]))} {where} is {b}, the reference says {a}"
    if trial.wanted.route != got.route:
        return f"it takes expert {got.route} {where}, the reference expert {trial.wanted.route}"
    return (
        f"the uncertainty {where} is {got.uncertainty}, the reference's {trial.wanted.uncertainty}"
    )

"""What a firmware is asked in its proof: rows for every route, and the reference's answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgeq.emit.firmware_layers import mixture_of
from edgeq.estimating.routes import Experts, all_routes, forcing, taken
from edgeq.ir import Graph
from edgeq.ir.ports import join, limits, outputs_of
from edgeq.ops.op import Array
from edgeq.passes.freeze_cascade import with_thresholds
from edgeq.passes.freeze_router import chosen_experts
from edgeq.reference import Answered, State, memories, run

ROWS, LEAST_ROWS, MOST_ROWS = 8, 2, 64  # a route: as a rule, where they are dear, and cheap


@dataclass(frozen=True)
class Answer:
    """Output bytes, the route (-1 without a mixture) and the uncertainty in Q8.24."""

    output: bytes
    route: int
    uncertainty: int


@dataclass(frozen=True)
class Trial:
    """One row of codes on one route. `forced` sends it there (`estimating.routes.forcing`): row i
    of a mixture's table of experts is forced[i], a cascade's thresholds are these.
    """

    experts: Experts
    row: Array
    forced: Experts | None
    wanted: Answer


def trials(graph: Graph, rows: Array, count: int, seed: int = 0) -> tuple[tuple[Trial, ...], ...]:
    """`count` rounds, each with a trial for every route; fewer rounds are the first of many.

    Every other row is seeded: the lowest and highest inputs, then random extremes and codes, so
    that sums meet their ends. The others are of `rows` (rows, *row shape), those first that take
    the route by themselves. With a state the trials are a sequence from a reset, in their order.
    """
    half = -(-count // 2)
    drilled = _extremes(graph, half, np.random.default_rng(seed))
    pool = np.concatenate([rows, drilled])
    chosen = chosen_experts(graph, pool)
    picked = [(r, _pick(r, chosen, len(rows), half)[:count]) for r in all_routes(graph)]
    asked = [_answered(graph, pool, chosen, route, indices) for route, indices in picked]
    rounds = tuple(zip(*asked, strict=True))
    if not memories(graph):
        return rounds
    if mixture_of(graph) is None:
        return _in_sequence(graph, rounds)
    return _on_routes(graph, rounds, rows[: count * len(picked)])


def _on_routes(
    graph: Graph, rounds: tuple[tuple[Trial, ...], ...], rows: Array
) -> tuple[tuple[Trial, ...], ...]:
    """The same trials behind one another, and at the end `rows` as a device hears them, whatever
    routes they take: what is kept shows where no trial is sent anywhere.
    """
    state, found = None, []
    for each in rounds:
        done = []
        for trial in each:
            told, state = after(graph, trial, state)
            done.append(told)
        found.append(tuple(done))
    return *found, tuple(as_they_come(graph, rows, state))


def _in_sequence(
    graph: Graph, rounds: tuple[tuple[Trial, ...], ...]
) -> tuple[tuple[Trial, ...], ...]:
    """The same rows, each answered after the one before it, the first after a reset. There is one
    route.
    """
    rows = np.stack([trial.row for (trial,) in rounds])
    answers = answers_of(graph, rows)
    return tuple(
        (replace(trial, wanted=wanted),) for (trial,), wanted in zip(rounds, answers, strict=True)
    )


def stands_alone(graph: Graph, trial: Trial) -> bool:
    """Whether a reset is before and behind it: other thresholds make a new instance."""
    node = mixture_of(graph)
    return trial.forced is not None and node is not None and node.op == "Cascade"


def after(graph: Graph, trial: Trial, state: State | None) -> tuple[Trial, State | None]:
    """The trial's row on the trial's route, answered behind a state (None: a reset), and the state
    that it leaves. It is forced where it would not take the route by itself.
    """
    row = trial.row[None]
    own = run(graph, row, state)
    chosen = own.chosen[0].tolist()
    if taken(chosen) == trial.experts:
        return replace(trial, forced=None, wanted=next(_told(graph, own))), own.state
    sent = replace(trial, forced=forcing(graph, chosen, trial.experts))
    alone = stands_alone(graph, sent)
    made = ran(graph, row, sent.forced, None if alone else state)
    return replace(sent, wanted=next(_told(graph, made))), None if alone else made.state


def as_they_come(graph: Graph, rows: Array, state: State | None = None) -> list[Trial]:
    """Rows on the routes that they take by themselves, behind a state (None: a reset)."""
    answered, routed = run(graph, rows, state), mixture_of(graph) is not None
    pairs = zip(rows, answered.chosen.tolist(), _told(graph, answered), strict=True)
    return [
        Trial(taken(chosen) if routed else (), row, None, wanted) for row, chosen, wanted in pairs
    ]


def _extremes(graph: Graph, count: int, rng: np.random.Generator) -> Array:
    """Each port's lowest and highest codes, then random ends and codes, (count, *row shape)."""
    rows: list[dict[str, Array]] = [{}, {}]
    while len(rows) < count:
        rows += [{}, {}]
    for name in graph.inputs:
        kind = graph.tensors[name]
        ends = np.array(limits(kind), kind.dtype)
        rows[0][name], rows[1][name] = (np.full(kind.shape, end) for end in ends)
        for at in range(2, len(rows), 2):
            rows[at][name] = rng.choice(ends, kind.shape)
            low, high = limits(kind)
            rows[at + 1][name] = rng.integers(low, high + 1, kind.shape, dtype=kind.dtype)
    stacked = {name: np.stack([row[name] for row in rows[:count]]) for name in graph.inputs}
    return join(graph.inputs, stacked)


def _pick(route: Experts, chosen: Array, given: int, half: int) -> list[int]:
    """Indices into the pool: given and seeded rows in turn, `half` each, takers first."""
    takes = [taken(row) == route for row in chosen.tolist()]
    own = sorted(range(given), key=lambda i: not takes[i])
    own = (own * -(-half // len(own)))[:half]
    return [i for pair in zip(own, range(given, given + half), strict=True) for i in pair]


def _answered(
    graph: Graph, pool: Array, chosen: Array, route: Experts, indices: Sequence[int]
) -> list[Trial]:
    """The trials of a route. A forced row is answered by the graph that is forced the same way."""
    orders = [
        None if taken(chosen[i].tolist()) == route else forcing(graph, chosen[i].tolist(), route)
        for i in indices
    ]
    found: dict[int, Trial] = {}
    for order in dict.fromkeys(orders):
        at = [n for n, each in enumerate(orders) if each == order]
        rows = pool[[indices[n] for n in at]]
        for n, row, wanted in zip(at, rows, answers_of(graph, rows, order), strict=True):
            found[n] = Trial(route, row, order, wanted)
    return [found[n] for n in range(len(indices))]


def answers_of(graph: Graph, rows: Array, forced: Experts | None = None) -> Iterator[Answer]:
    """What the reference answers to rows of codes."""
    yield from _told(graph, ran(graph, rows, forced))


def ran(
    graph: Graph, rows: Array, forced: Experts | None = None, state: State | None = None
) -> Answered:
    """The reference on rows of codes behind a state (None: a reset), perhaps on a forced route."""
    return run(graph if forced is None else forced_graph(graph, forced), rows, state)


def _told(graph: Graph, answered: Answered) -> Iterator[Answer]:
    outputs, columns = outputs_of(graph), (answered.output, answered.route, answered.uncertainty)
    for output, route, doubt in zip(*columns, strict=True):
        yield Answer(outputs.pack(output), int(route), int(doubt))


def forced_graph(graph: Graph, forced: Experts) -> Graph:
    """A graph with experts as a trial forces it: those permuted and the router as it was, or
    with other thresholds.
    """
    node = mixture_of(graph)
    assert node is not None  # nothing else is forced
    if node.op == "Cascade":
        return with_thresholds(graph, forced)
    experts = tuple(node.attrs.experts[i] for i in forced)
    moved = replace(node, attrs=replace(node.attrs, experts=experts))
    return graph.with_nodes(moved if n is node else n for n in graph.nodes)

"""The trained model in PyTorch, with its own fake quantisation, against the integer reference."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgeq import nn
from edgeq.emit.firmware_layers import mixture_of
from edgeq.frontend.torch_answers import answers, expert_outputs, layer_outputs
from edgeq.ir import Graph, Node
from edgeq.ir.ports import result_tensors
from edgeq.ops.op import Array, quant_of
from edgeq.ops.routed import ROUTED, holds, without_hold
from edgeq.prove.check import LEAST_ROUTES, LEAST_TOP1, MOST_MEAN, Check, has_classes
from edgeq.prove.settled import MARGIN, settled
from edgeq.reference import quantize_rows, run
from edgeq.task import Task

LEAST_ROWS = 50
LARGEST_SHARE = 0.05  # of a layer's values that differ by more than a step


@dataclass(frozen=True)
class Judged:
    """The reference's output before a final Softmax (rows, n), and each value's scale and zero.

    `classes`: how many of the n are the answer, the first output.
    `settled` (rows,): whether the row's route is no tie; a cascade's is one where a signal lies
    within MARGIN steps of its threshold.
    """

    values: Array
    scale: Array
    zero: Array
    chosen: Array
    settled: Array
    classes: int

    def steps(self, real: Array) -> Array:
        """Real outputs (rows, n) on the reference's grid, as int8 holds them."""
        codes = np.round(real.astype(np.float64) / self.scale) + self.zero
        return np.clip(codes, -128, 127).astype(np.int64)


@dataclass(frozen=True)
class Departure:
    """A layer, and the share of its values that differ by more than a step from equal input."""

    layer: str
    share: float


def check_model(
    model: nn.Model, graph: Graph, x: Array, seed: int = 0, task: Task | None = None
) -> Check:
    """The proof on rows x (rows, *graph shape) float; few are filled up with seeded ones.

    The first layer that departs is looked for only where the proof fails. Rows stand alone: a
    `hold` is left out on both sides.
    """
    graph = without_hold(graph) if holds(graph) else graph
    given, x = len(x), filled_up(x, LEAST_ROWS, seed)
    rows = quantize_rows(graph, x)
    told, judged = answers(model, x), judge(graph, rows)
    difference = np.abs(judged.steps(told.output.reshape(len(x), -1)) - judged.values)
    classes = has_classes(graph, task)
    counted, right = _top1(told.output.reshape(len(x), -1), judged) if classes else (0, 0)
    same = np.sort(told.chosen, axis=1) == np.sort(judged.chosen, axis=1)
    check = Check(
        name="model",
        samples=len(x),
        mismatches=int((difference.max(axis=1) > 0).sum()),
        max_lsb=int(difference.max()),
        mean_lsb=float(difference.mean()),
        top1_agreement=right / counted if counted else None,
        route_agreement=_share(same.all(axis=1)[judged.settled]),
        counted=counted,
        filled=len(x) - given,
    )
    wrong = tuple(_wrong(check, classes))
    if not wrong:
        return replace(check, said=said(check, wrong, None))
    departure = first_departure(model, graph, rows)
    return replace(
        check,
        passed=False,
        departs=departure.layer if departure else None,
        said=said(check, wrong, departure),
    )


def _share(true: Array) -> float | None:
    return float(true.mean()) if len(true) else None


def _wrong(check: Check, classes: bool) -> Iterable[str]:
    """What is below its threshold, in words."""
    if classes and check.top1_agreement is not None and check.top1_agreement < LEAST_TOP1:
        yield (
            f"top-1 agrees on {check.top1_agreement:.1%} of {check.counted} rows, "
            f"{LEAST_TOP1:.0%} are wanted"
        )
    if not classes and check.mean_lsb is not None and check.mean_lsb > MOST_MEAN:
        yield f"outputs differ by {check.mean_lsb:.2f} steps in the mean, {MOST_MEAN:g} are allowed"
    if check.route_agreement is not None and check.route_agreement < LEAST_ROUTES:
        yield f"routes agree on {check.route_agreement:.1%} of rows, {LEAST_ROUTES:.0%} are wanted"


def said(check: Check, wrong: tuple[str, ...], departure: Departure | None) -> str:
    """The proof in a sentence or two."""
    about = f"trained model and integers on {check.samples} rows"
    if check.filled:
        about += f" ({check.filled} of them seeded: the calibration set is small)"
    if wrong:
        return f"{about}: {'; '.join(wrong)}; {_where(departure)}"
    top1, routes = "", ""
    if check.route_agreement is not None:
        routes = f"routes {check.route_agreement:.1%}; "
    if check.top1_agreement is not None:
        top1 = f"top-1 {check.top1_agreement:.1%} of the {check.counted} that are no tie, "
    return (
        f"{about}: {top1}{routes}outputs {check.mean_lsb:.2f} steps "
        f"apart in the mean, {check.max_lsb} at most"
    )


def _where(departure: Departure | None) -> str:
    if departure is None:
        return "no layer alone departs: small differences add up"
    if departure.share <= LARGEST_SHARE:
        return (
            f"no layer alone departs: small differences add up, most in {departure.layer} "
            f"({departure.share:.1%} of its values)"
        )
    return (
        f"the first layer that departs is {departure.layer}: fed the reference's input, "
        f"{departure.share:.1%} of its values differ by more than a step"
    )


def filled_up(x: Array, least: int, seed: int) -> Array:
    """Rows x and, below `least`, seeded blends of two of them, which lie inside their range.

    A single row is joined by rows that are uniform over the range of all its values.
    """
    missing = least - len(x)
    if missing <= 0:
        return x
    rng = np.random.default_rng(seed)
    if len(x) == 1:
        more = rng.uniform(x.min(), x.max(), (missing, *x.shape[1:]))
    else:
        a, b = x[rng.integers(0, len(x), missing)], x[rng.integers(0, len(x), missing)]
        share = rng.uniform(0, 1, (missing, *[1] * (x.ndim - 1)))
        more = a + share * (b - a)
    return np.concatenate([x, more.astype(x.dtype)])


def _top1(output: Array, judged: Judged) -> tuple[int, int]:
    """Rows whose best output leads by more than MARGIN steps; those that agree."""
    values = judged.values[:, : judged.classes]
    best = np.sort(values, axis=1)
    clear = (best[:, -1] - best[:, -2] > MARGIN) & judged.settled
    same = output[:, : judged.classes].argmax(axis=1) == values.argmax(axis=1)
    return int(clear.sum()), int((same & clear).sum())


def judge(graph: Graph, rows: Array) -> Judged:
    """The reference on int8 rows, its final Softmax (also that of every expert) left away."""
    plain = without_softmax(graph)
    ran = run(plain, rows)
    node, name = mixture_of(plain), plain.outputs[0]
    quants = [quant_of(plain.tensors[name])] * max(1, int(ran.chosen.max()) + 1)
    if node is not None and name == node.outputs[0] and node.attrs.gate == "none":
        ends = [e.graph for e in node.attrs.experts]
        quants = [quant_of(g.tensors[g.outputs[0]]) for g in ends]
    route, others = np.maximum(ran.route, 0), [plain.tensors[n] for n in result_tensors(plain)[1:]]
    every = [[quants[r] for r in route], *([quant_of(t)] * len(rows) for t in others)]
    sizes = [plain.tensors[name].size, *(t.size for t in others)]
    scale = np.repeat(np.array([[q.per_tensor for q in one] for one in every]).T, sizes, axis=1)
    zero = np.repeat(np.array([[q.zero_point for q in one] for one in every]).T, sizes, axis=1)
    values = ran.output.reshape(len(rows), -1).astype(np.int64)
    chosen = ran.chosen if node is not None else np.zeros((len(rows), 0), np.int64)
    return Judged(values, scale, zero, chosen, settled(plain, rows), sizes[0])


def without_softmax(graph: Graph) -> Graph:
    """The graph up to its final Softmax; where a mixture routes to such experts, theirs."""
    last = graph.producer(graph.outputs[0])
    if last is None:
        return graph
    if last.op == "Softmax":
        nodes = [n for n in graph.nodes if n is not last]
        outputs = (last.inputs[0], *graph.outputs[1:])
        return replace(graph, nodes=tuple(nodes), outputs=outputs)
    if last.op != "Mixture" or last.attrs.gate != "none":
        return graph
    experts = tuple(replace(e, graph=without_softmax(e.graph)) for e in last.attrs.experts)
    bare = replace(last, attrs=replace(last.attrs, experts=experts))
    return graph.with_nodes(bare if n is last else n for n in graph.nodes)


def first_departure(model: nn.Model, graph: Graph, rows: Array) -> Departure | None:
    """The first layer whose share passes LARGEST_SHARE, else the one with the largest share.

    Each layer runs in PyTorch, fed what the reference feeds it; None where no layer was found.
    """
    values = run(graph, rows).values
    real = _real(graph, values)
    found = []
    outputs = layer_outputs(model, graph, real)
    for node in graph.nodes:
        if node.op in ROUTED:
            found += _in_experts(model, graph, node, values)
        if node.outputs[0] in outputs:
            found.append(_departure(graph, values, node, outputs[node.outputs[0]], ""))
    first = next((d for d in found if d.share > LARGEST_SHARE), None)
    return first or max(found, key=lambda d: d.share, default=None)


def _in_experts(
    model: nn.Model, graph: Graph, node: Node, values: Mapping[str, Array]
) -> list[Departure]:
    found = []
    given = values[node.inputs[0]]
    for index, expert in enumerate(node.attrs.experts):
        quant = quant_of(expert.graph.tensors[expert.graph.inputs[0]])
        fed = ((given.astype(np.float64) - quant.zero_point) * quant.per_tensor).astype(np.float32)
        inner = run(expert.graph, given).values
        real = _real(expert.graph, inner)
        given = expert.handed_on(given, inner)
        outputs = expert_outputs(model, graph, node, index, real, fed)
        for one in expert.graph.nodes:
            if one.outputs[0] in outputs:
                made = outputs[one.outputs[0]]
                found.append(_departure(expert.graph, inner, one, made, f"{expert.name}/"))
    return found


def _departure(
    graph: Graph, values: Mapping[str, Array], node: Node, made: tuple[str, Array], prefix: str
) -> Departure:
    name, output = made
    quant, wanted = quant_of(graph.tensors[node.outputs[0]]), values[node.outputs[0]]
    steps = np.round(output.astype(np.float64) / quant.per_tensor) + quant.zero_point
    apart = np.abs(np.clip(steps, -128, 127).reshape(wanted.shape) - wanted.astype(np.int64))
    return Departure(prefix + name, float((apart > 1).mean()))


def _real(graph: Graph, values: Mapping[str, Array]) -> dict[str, Array]:
    """The quantised tensors of a run as real numbers."""
    real = {}
    for name, value in values.items():
        quant = graph.tensors[name].quant
        if quant is not None and value.dtype == np.int8:
            centred = value.astype(np.float64) - quant.zero_point
            real[name] = (centred * quant.per_tensor).astype(np.float32)
    return real

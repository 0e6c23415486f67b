"""Thresholds of a mixture or cascade that keep a promise of agreement (edgeq/thresholds)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from edgeq.board import Board
from edgeq.emit.firmware_layers import mixture_of
from edgeq.errors import BadInput
from edgeq.estimating.cost import figures
from edgeq.estimating.routes import Experts
from edgeq.ir import Graph, Node
from edgeq.ops.cascade import Cascade
from edgeq.ops.mixture import Mixture
from edgeq.ops.op import Array
from edgeq.passes import Quantized
from edgeq.passes.choose_strength import STEPS
from edgeq.passes.experts_alone import experts_alone
from edgeq.passes.freeze_cascade import effect, with_thresholds
from edgeq.passes.freeze_router import Observed, freeze_router, observe, rule_constants
from edgeq.passes.verify import verify
from edgeq.reference import Stages as Ran
from edgeq.reference import run_all_stages
from edgeq.thresholds import Choice, Promise, Stages, by_budget, steps_of
from edgeq.thresholds.staged import escalating, limits_of
from edgeq.thresholds.staged import staged as by_stages
from edgeq.thresholds.stages import Thresholds

MOST_POINTS = 65  # of the curve in a report
QUANTILES = tuple(i / (4 * STEPS) for i in range(4 * STEPS + 1))


@dataclass(frozen=True)
class Promised:
    """What is promised, and the int8 `rows` (rows, *input shape) of file `source` to prove it.

    `labels` (rows,) are for the report alone.
    """

    promise: Promise
    rows: Array
    source: str
    labels: Array | None = None


@dataclass(frozen=True)
class Escalation:
    """The routes of rows under each of `steps`, thresholds from the safest on.

    `right` (rows, stages): the answer is the label. `quantiles` of a mixture give its steps.
    """

    stages: Stages
    steps: tuple[Thresholds, ...]
    right: Array | None
    precise: str
    quantiles: tuple[float, ...] = ()


def escalation(
    quantized: Quantized, cycles: Mapping[Experts, float], promised: Promised
) -> Escalation:
    """Of the mixture or cascade; `cycles` by route. BadInput for a model without a threshold."""
    node = mixture_of(quantized.graph)
    if node is None:
        raise BadInput("--max-disagreement chooses among experts; this model has only one")
    if node.op == "Cascade":
        return _of_cascade(quantized, node, cycles, promised)
    assert quantized.seen is not None  # what a mixture's router said is kept
    return _of_mixture(quantized.graph, node, quantized.seen, cycles, promised)


def _of_mixture(
    graph: Graph,
    node: Node,
    calibrated: Observed,
    cycles: Mapping[Experts, float],
    promised: Promised,
) -> Escalation:
    """Rows below the threshold go where the router says, the others to the most precise expert.

    The thresholds are quantiles of the calibration rows, not of those of the promise.
    """
    attrs: Mixture = node.attrs
    _check(attrs)
    seen = observe(graph, promised.rows)
    assert seen is not None
    alone = np.stack([a.answers for a in experts_alone(graph, promised.rows)], axis=1)
    cost = [cycles[(e,)] for e in range(len(attrs.experts))]
    stages, answers = escalating(attrs, seen, alone, cost)
    thresholds = {(_threshold(attrs, calibrated, q),): q for q in reversed(QUANTILES)}
    steps = tuple(sorted(thresholds))
    quantiles = tuple(thresholds[step] for step in steps)
    right = _right(answers, promised.labels)
    return Escalation(stages, steps, right, attrs.experts[attrs.most_precise].name, quantiles)


def _of_cascade(
    quantized: Quantized, node: Node, cycles: Mapping[Experts, float], promised: Promised
) -> Escalation:
    """Every stage on the rows. Two stages only risk more as the threshold rises, so its steps may
    be those of the rows; of more stages the steps are quantiles of the calibration rows.
    """
    assert quantized.cascading is not None
    ran = run_all_stages(quantized.graph, promised.rows)
    stages = staged(node.attrs, ran, cycles)
    calibrated = staged(node.attrs, quantized.cascading.stages, cycles)
    steps = steps_of((stages if stages.last == 1 else calibrated).doubts, stages.lowest)
    right = _right(ran.outputs.argmax(axis=2), promised.labels)
    return Escalation(stages, steps, right, node.attrs.experts[-1].name)


def staged(attrs: Cascade, ran: Ran, cycles: Mapping[Experts, float]) -> Stages:
    """A cascade's stages, by the cycles of its routes."""
    return by_stages(attrs, ran, [cycles[tuple(range(i + 1))] for i in range(len(attrs.experts))])


def _right(answers: Array, labels: Array | None) -> Array | None:
    return None if labels is None else answers == labels[:, None]


def settled(quantized: Quantized, found: Escalation, thresholds: Thresholds) -> Quantized:
    """The model with these thresholds, a step of `found`."""
    node = mixture_of(quantized.graph)
    assert node is not None
    if node.op == "Cascade":
        return with_limits(quantized, limits_of(node.attrs, thresholds))
    quantile = found.quantiles[found.steps.index(thresholds)]
    router = replace(node.attrs.router, quantile=quantile)
    graph, curiosity = freeze_router(quantized.graph, quantized.seen, router)
    return replace(quantized, graph=verify(graph, "lowered"), curiosity=curiosity)


def with_limits(quantized: Quantized, limits: tuple[int, ...]) -> Quantized:
    """The cascade with these thresholds of its signal."""
    node = mixture_of(quantized.graph)
    assert node is not None
    assert quantized.cascading is not None
    cascading = effect(node.attrs, limits, quantized.cascading.stages)
    graph = verify(with_thresholds(quantized.graph, limits), "lowered")
    return replace(quantized, graph=graph, cascading=cascading)


def within_mean(
    quantized: Quantized, cycles: Mapping[Experts, float], most: float
) -> Choice | None:
    """The safest thresholds of a cascade whose mean calibration row takes `most` cycles at most.

    With a `hold` the rows are a stream in their order.
    """
    node = mixture_of(quantized.graph)
    assert node is not None
    assert quantized.cascading is not None
    stages = staged(node.attrs, quantized.cascading.stages, cycles)
    stages = replace(stages, hold=node.attrs.hold)
    return by_budget(stages, steps_of(stages.doubts, stages.lowest), most)


def threshold_entry(
    graph: Graph,
    found: Escalation,
    choice: Choice,
    promised: Promised,
    board: Board,
    lender: Board,
) -> dict[str, Any]:
    """`threshold` of export.json: the promise, what proved it, and what other thresholds do.

    `curve`: from the safest on; `latency_s` and `energy_j` of a mean row, `share` of the rows that
    the most precise expert is asked for, `accuracy` where the file has labels. A threshold is one
    of the router's integer uncertainty, or of a cascade's signal.
    """
    kept = choice.kept
    assert kept is not None
    every = max(1, -(-len(found.steps) // MOST_POINTS))
    at = sorted({*range(0, len(found.steps), every), found.steps.index(choice.thresholds)})
    return {
        "by": "risk",
        **asdict(kept.promise),
        "tested": kept.tested,
        "disagreements": kept.disagreements,
        "bound": kept.bound,
        "against": found.precise,
        "source": promised.source,
        "rows": choice.rows,
        "chosen": at.index(found.steps.index(choice.thresholds)),
        "curve": [
            {
                "threshold": _limits(graph, found.steps[i]),
                **_point(found, found.steps[i], board, lender),
            }
            for i in at
        ],
    }


def _limits(graph: Graph, step: Thresholds) -> list[int]:
    node = mixture_of(graph)
    cascaded = node is not None and node.op == "Cascade"
    return list(limits_of(node.attrs, step) if node and cascaded else step)


def _point(found: Escalation, step: tuple[int, ...], board: Board, lender: Board) -> dict[str, Any]:
    stages = found.stages
    cost = figures(stages.mean_cost(step), board, lender.energy)
    right = found.right
    hit = (
        None
        if right is None
        else float(right[np.arange(stages.rows), stages.answering(step)].mean())
    )
    return {
        "share": stages.shares(step)[-1],
        "disagreement": stages.disagreements(step) / stages.rows,
        "latency_s": cost["latency_s"],
        "energy_j": cost["energy_j"],
        "accuracy": hit,
    }


def _threshold(attrs: Mixture, calibrated: Observed, quantile: float) -> int:
    router = replace(attrs.router, quantile=quantile)
    values, _ = rule_constants(replace(attrs, router=router), calibrated.numerator)
    return int(values["router.threshold"][0])


def _check(attrs: Mixture) -> None:
    """BadInput for a mixture without a threshold, or whose answer is no single expert's."""
    router = attrs.router
    if router.rule != "escalation":
        raise BadInput(
            f"--max-disagreement moves the threshold of a rule that has one; the mixture's rule is "
            f'{router.rule!r} here: build it with rule="escalation"'
        )
    if attrs.top_k != 1 or attrs.gate != "none":
        raise BadInput(
            f"--max-disagreement needs a mixture that answers by one expert: top_k is "
            f'{attrs.top_k}, gate {attrs.gate!r}; build it with top_k=1, gate="none"'
        )

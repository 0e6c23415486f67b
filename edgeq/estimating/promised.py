"""The cheapest escalation of a mixture that keeps a promise of agreement (edgeq/thresholds)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from edgeq.board import Board
from edgeq.errors import BadInput
from edgeq.estimating.cost import figures
from edgeq.estimating.routes import Experts
from edgeq.ir import Graph, Node
from edgeq.ops.mixture import Mixture
from edgeq.ops.op import Array
from edgeq.ops.router import Router
from edgeq.passes.choose_strength import STEPS
from edgeq.passes.experts_alone import experts_alone
from edgeq.passes.freeze_router import Observed, observe, rule_constants
from edgeq.thresholds import Choice, Promise, Stages, by_risk

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
    """The routes of rows under each quantile: rows below the threshold go where the router says.

    `steps` are thresholds in the order of `quantiles`, from those that escalate most.
    """

    stages: Stages
    quantiles: tuple[float, ...]
    steps: tuple[tuple[int, ...], ...]
    right: Array | None  # (rows, 2): the answer is the label
    precise: str

    def quantile(self, choice: Choice) -> float:
        """The quantile that gives the chosen threshold."""
        return self.quantiles[self.steps.index(choice.thresholds)]


def escalation(
    graph: Graph,
    node: Node,
    calibrated: Observed,
    cycles: Mapping[Experts, float],
    promised: Promised,
) -> Escalation:
    """Of the mixture `node`. `calibrated`: the router on the calibration rows, whose quantiles the
    thresholds are, so that they do not come from the rows of the promise; `cycles` by route.
    """
    attrs: Mixture = node.attrs
    _check(attrs)
    seen = observe(graph, promised.rows)
    assert seen is not None
    alone = np.stack([a.answers for a in experts_alone(graph, promised.rows)], axis=1)
    plain, precise = seen.logits.argmax(axis=1), attrs.most_precise
    answers = np.stack([alone[np.arange(len(plain)), plain], alone[:, precise]], axis=1)
    cost = np.array([cycles[(e,)] for e in range(len(attrs.experts))])
    stages = Stages(
        doubts=seen.numerator[:, None],
        differs=answers != answers[:, 1:],
        costs=np.stack([cost[plain], np.full(len(plain), cost[precise])], axis=1),
        lowest=(0,),
    )
    thresholds = {(_threshold(attrs, calibrated, q),): q for q in reversed(QUANTILES)}
    steps = tuple(sorted(thresholds))
    quantiles = tuple(thresholds[step] for step in steps)
    right = None if promised.labels is None else answers == promised.labels[:, None]
    return Escalation(stages, quantiles, steps, right, attrs.experts[precise].name)


def promised_router(attrs: Mixture, found: Escalation, promise: Promise) -> tuple[Router, Choice]:
    """The router whose escalation is the cheapest that keeps the promise, and what it does."""
    choice = by_risk(found.stages, found.steps, promise)
    return replace(attrs.router, quantile=found.quantile(choice)), choice


def threshold_entry(
    found: Escalation, choice: Choice, promised: Promised, board: Board, lender: Board
) -> dict[str, Any]:
    """`threshold` of export.json: the promise, what proved it, and what other thresholds do.

    `curve`: from the safest on; `latency_s` and `energy_j` of a mean row, `share` of the rows that
    the most precise expert is asked for, `accuracy` where the file has labels.
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
        "curve": [_point(found, found.steps[i], board, lender) for i in at],
    }


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
        "threshold": list(step),
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

"""What other thresholds would have done to the rows of a run: the curve of the page's figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeq.ir import Graph, Node
from edgeq.ops.cascade import THRESHOLDS, Cascade
from edgeq.ops.mixture import Mixture
from edgeq.ops.op import Array
from edgeq.ops.routed import routed_node
from edgeq.passes.experts_alone import ROWS_AT_ONCE, Alone
from edgeq.passes.freeze_router import observe
from edgeq.reference import Stages as Ran
from edgeq.reference import run_all_stages
from edgeq.reporting.run_rows import Costs, Rows, cycles_of_path
from edgeq.thresholds.staged import escalating, limits_of, staged
from edgeq.thresholds.stages import Stages, Thresholds, steps_of

MOST_POINTS = 64  # of a curve on the page
ESCALATION = "router's uncertainty"


def curve_entry(subject: Rows, costs: Costs, alone: Sequence[Alone]) -> dict[str, Any] | None:
    """Of a cascade, or a mixture that escalates: `points` from the safest threshold on, `shipped`.

    None where there is no threshold, or some path's cycles are not known. The thresholds are
    quantiles of these rows; costs as `cycles_of_path` has them.
    """
    node = routed_node(subject.graph)
    if node is None or not len(subject.rows):
        return None
    answers = np.stack([a.answers for a in alone], axis=1)
    if node.op == "Cascade":
        found = _of_cascade(subject, costs, node, answers)
    else:
        found = _of_mixture(subject, costs, node, answers)
    if found is None:
        return None
    signal, stages, given, shipped = found
    right = given == subject.labels[:, None]
    steps = steps_of(stages.doubts, stages.lowest, MOST_POINTS)
    return {
        "signal": signal,
        "against": node.attrs.experts[_last(node)].name,
        "points": [_point(stages, right, step, costs) for step in steps],
        "shipped": _point(stages, right, shipped, costs),
    }


Found = tuple[str, Stages, Array, Thresholds]  # signal, stages, their answers, what shipped


def _last(node: Node) -> int:
    return int(node.attrs.most_precise) if node.op == "Mixture" else len(node.attrs.experts) - 1


def _of_cascade(subject: Rows, costs: Costs, node: Node, answers: Array) -> Found | None:
    attrs: Cascade = node.attrs
    names = [expert.name for expert in attrs.experts]
    paths = [cycles_of_path(subject, costs, e, names[: e + 1]) for e in range(len(names))]
    known = [cycles for cycles in paths if cycles is not None]
    if len(known) < len(paths):
        return None
    stages = staged(attrs, all_stages(subject.graph, subject.rows), known)
    shipped = tuple(subject.graph.params(node)[THRESHOLDS].tolist())
    return attrs.signal, stages, answers, limits_of(attrs, shipped)


def all_stages(graph: Graph, rows: Array) -> Ran:
    """`run_all_stages`, a few rows at a time."""
    parts = [
        run_all_stages(graph, rows[at : at + ROWS_AT_ONCE])
        for at in range(0, len(rows), ROWS_AT_ONCE)
    ]
    return Ran(
        np.concatenate([part.outputs for part in parts]),
        np.concatenate([part.signals for part in parts]),
    )


def _of_mixture(subject: Rows, costs: Costs, node: Node, alone: Array) -> Found | None:
    attrs: Mixture = node.attrs
    if attrs.router.rule != "escalation" or attrs.top_k != 1 or attrs.gate != "none":
        return None
    paths = [cycles_of_path(subject, costs, e, [x.name]) for e, x in enumerate(attrs.experts)]
    known = [cycles for cycles in paths if cycles is not None]
    seen = observe(subject.graph, subject.rows)
    if seen is None or len(known) < len(paths):
        return None
    stages, answers = escalating(attrs, seen, alone, known)
    shipped = int(subject.graph.params(node)["router.threshold"][0])
    return ESCALATION, stages, answers, (shipped,)


def _point(stages: Stages, right: Array, step: Thresholds, costs: Costs) -> dict[str, Any]:
    at = stages.answering(step)
    return {
        "share": stages.shares(step)[-1],
        "disagreement": stages.disagreements(step) / stages.rows,
        "accuracy": float(right[np.arange(stages.rows), at].mean()),
        **costs.figures(stages.mean_cost(step)),
    }

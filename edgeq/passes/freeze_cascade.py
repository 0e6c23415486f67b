"""A cascade's integer thresholds, from the model's own or from the calibration rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgeq.errors import BadInput
from edgeq.ir import Graph
from edgeq.ops.cascade import THRESHOLDS, Cascade, ran
from edgeq.ops.hold import answering
from edgeq.ops.op import Array, quant_of
from edgeq.ops.routed import routed_node
from edgeq.ops.signals import Signal
from edgeq.reference import Stages, run_all_stages


@dataclass(frozen=True)
class Cascading:
    """What a frozen cascade does on the calibration rows.

    `thresholds` in steps of the signal; `routes`: rows that each expert answers; `chosen` (rows,
    stages): the experts that ran, the route first; `stages`: every expert and signal on these rows.
    """

    signal: str
    thresholds: tuple[int, ...]
    routes: tuple[int, ...]
    rows: int
    chosen: Array = field(compare=False, repr=False)
    stages: Stages = field(compare=False, repr=False)


def freeze_cascade(graph: Graph, rows: Array) -> tuple[Graph, Cascading | None]:
    """Gives the cascade its thresholds on int8 rows (rows, *input shape).

    Real thresholds of the model become steps; without any, the share that it names goes on from
    each stage. A graph without a cascade comes back as it was, with None.
    """
    node = routed_node(graph)
    if node is None or node.op != "Cascade":
        return graph, None
    stages = run_all_stages(graph, rows)
    attrs: Cascade = node.attrs
    if attrs.thresholds:
        scale = quant_of(graph.tensors[node.outputs[0]]).per_tensor
        limits = [attrs.rule.in_steps(t, scale) for t in attrs.thresholds]
    else:
        limits = _of_shares(attrs, stages.signals)
    return with_thresholds(graph, limits), effect(attrs, limits, stages)


def _of_shares(attrs: Cascade, signals: Array) -> list[int]:
    """A stage's share counts among the rows that reach it."""
    limits, left = [], np.arange(len(signals))
    for stage, share in enumerate(attrs.escalate):
        values = signals[left, stage]
        limits.append(attrs.rule.sending(values, share) if len(left) else attrs.rule.never)
        left = left[attrs.rule.goes_on(values, limits[-1])]
    return limits


def frozen_cascade(graph: Graph, rows: Array) -> Cascading | None:
    """What thresholds that are frozen already do on int8 rows; None without a cascade."""
    node = routed_node(graph)
    if node is None or node.op != "Cascade":
        return None
    limits = [int(limit) for limit in graph.param(node, THRESHOLDS)]
    return effect(node.attrs, limits, run_all_stages(graph, rows))


def with_thresholds(graph: Graph, thresholds: Sequence[int]) -> Graph:
    """The graph whose cascade decides by these, in steps of its signal, one a stage but the last.

    Raises BadInput for a graph without a cascade, another number of them, or one out of range.
    """
    node = routed_node(graph)
    if node is None or node.op != "Cascade":
        raise BadInput(f"model {graph.name!r} has no cascade: there is no threshold to set")
    attrs: Cascade = node.attrs
    rule, wanted = attrs.rule, len(attrs.experts) - 1
    if len(thresholds) != wanted or any(not rule.least <= t <= rule.most for t in thresholds):
        raise BadInput(
            f"thresholds {list(thresholds)}: a cascade of {wanted + 1} experts by its {rule.name} "
            f"takes {wanted} whole numbers in {rule.least}..{rule.most}"
        )
    name = f"{node.name}.{THRESHOLDS}"
    frozen = replace(node, params={**node.params, THRESHOLDS: name})
    graph = graph.with_nodes(frozen if n is node else n for n in graph.nodes)
    return graph.with_constants({name: np.array(thresholds, np.int32)})


def routes_under(rule: Signal, signals: Array, thresholds: Sequence[int], hold: int = 0) -> Array:
    """The answering expert (rows,) of rows with these signals (rows, stages - 1), the first of them
    after a reset.
    """
    unsure = [rule.goes_on(signals[:, stage], limit) for stage, limit in enumerate(thresholds)]
    return answering(np.stack(unsure, axis=1), hold)


def effect(attrs: Cascade, thresholds: Sequence[int], stages: Stages) -> Cascading:
    """What these thresholds do on rows whose stages are known."""
    route = routes_under(attrs.rule, stages.signals, thresholds, attrs.hold)
    counts = np.bincount(route, minlength=len(attrs.experts))
    return Cascading(
        attrs.signal,
        tuple(thresholds),
        tuple(int(n) for n in counts),
        len(route),
        ran(route, len(attrs.experts)),
        stages,
    )

"""Rows whose route no small difference can change."""

import numpy as np

from edgeq.emit.firmware_layers import mixture_of
from edgeq.ir import Graph
from edgeq.ops.cascade import THRESHOLDS
from edgeq.ops.op import Array, quant_of
from edgeq.reference import run_all_stages

MARGIN = 2  # steps of an output: where two lie no further apart, or a signal from its threshold


def settled(graph: Graph, rows: Array) -> Array:
    """(rows,) bool: false where a cascade's signal lies within MARGIN steps of its threshold."""
    node = mixture_of(graph)
    found = np.ones(len(rows), bool)
    if node is None or node.op != "Cascade":
        return found
    rule, limits = node.attrs.rule, graph.param(node, THRESHOLDS)
    signals, reached = run_all_stages(graph, rows).signals, found
    step = rule.step(quant_of(graph.tensors[node.outputs[0]]).per_tensor)
    for stage, limit in enumerate(limits.tolist()):
        near = (signals[:, stage] + steps * step for steps in (-MARGIN, MARGIN))
        low, high = (rule.goes_on(values, limit) for values in near)
        fixed = limit in (rule.never, rule.always)
        found = found & (~reached | fixed | (low == high))
        reached = reached & rule.goes_on(signals[:, stage], limit)
    return found

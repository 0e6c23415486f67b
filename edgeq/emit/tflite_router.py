"""The router as TensorFlow Lite operators: logits, Monte Carlo uncertainty, scores and route.

Probabilities, uncertainty and scores are int16. The route is decided on int8 score DIFFERENCES in
fine steps that saturate, because TensorFlow Lite Micro compares and ranks int8 only:
best(i) = max_j(score_j - score_i) is 0 for the winner alone; ARG_MAX gives ties to the lower index.
"""

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import (  # type: ignore[import-untyped,unused-ignore]
    schema_py_generated as schema,
)

from edgeq.emit import tflite_steps as step
from edgeq.emit.tflite_ops import bias_constant, fully_connected, weight_constant
from edgeq.emit.tflite_writer import SubgraphWriter, Value
from edgeq.ir import Graph, Node, Quant
from edgeq.ops.op import Array
from edgeq.ops.router import SCORE_BITS, Router

PROBABILITY = Quant((2.0**-15,), 0)
SQUARE_Q30 = 2.0**30  # one unit of squared Q15 probabilities
ESCALATION_GAIN = 5.0  # one step of u above the threshold outweighs 255 logit steps
STEEP = 16.0  # exp(-16) is 0 in Q15
HEADROOM = 4.0  # the reported uncertainty saturates at this many times the rule's limit


@dataclass(frozen=True)
class Routed:
    """logits int8 (1, E); route int32 (1,); uncertainty int16 (1, 1) or None for a plain router;
    differences int8 (E, E): score_j - score_i at [j, i], saturating.
    """

    logits: Value
    route: Value
    uncertainty: Value | None
    differences: Value


def route(sg: SubgraphWriter, graph: Graph, node: Node, x: Value) -> Routed:
    """Routes x int8 (1, features)."""
    router: Router = node.attrs.router
    layers = [_weights(sg, graph, node, i, x.q) for i in range(router.layers)]
    first = _layer(sg, graph, node, layers, 0, x, "")
    logits = first
    for i in range(1, router.layers):
        logits = _layer(sg, graph, node, layers, i, logits, "")
    uncertainty = None
    if router.kind == "bayesian":
        limit = _limit(graph, node)
        uncertainty = _uncertainty(sg, graph, node, layers, first, limit)
    scores = _scores(sg, graph, node, logits, uncertainty)
    differences = _differences(sg, node.name, scores)
    return Routed(logits, _best(sg, node, differences), uncertainty, differences)


def probabilities(sg: SubgraphWriter, name: str, logits: Value) -> Value:
    """Softmax of int8 logits (rows, E) as int16 in Q15.

    A step of STEEP decides alone; the operator's int32 overflows from 640 on.
    """
    wide = step.quantize(sg, name + ".logits16", logits, "int16", step.widened(logits.q))
    if logits.q.per_tensor > STEEP:
        factor = step.constant16(sg, name + ".flatter", np.array([[STEEP / logits.q.per_tensor]]))
        flat = step.widened(Quant((STEEP,), 0))
        wide = step.multiply(sg, name + ".flat_logits", wide, factor, flat)
    return step.softmax(sg, name + ".probabilities", wide, PROBABILITY)


def _weights(sg: SubgraphWriter, graph: Graph, node: Node, i: int, x: Quant) -> Value:
    """Layer i's weight; its scales follow from the multipliers: m * s_out / s_in."""
    router: Router = node.attrs.router
    role = f"router.{i}."
    source = router.quants[i - 1] if i else x
    multiplier = graph.param(node, role + "multiplier").astype(np.float64)
    real = multiplier * 2.0 ** (graph.param(node, role + "shift").astype(np.float64) - 31)
    scales = real * router.quants[i].per_tensor / source.per_tensor
    # a multiplier of 0 stands for a channel without influence; a scale must be positive
    quant = Quant(tuple(float(s) or 2.0**-60 for s in scales), 0, 0)
    codes = graph.param(node, role + "weight")
    fmt = "s16" if codes.dtype == np.int16 else "s8"
    return weight_constant(sg, node.params[role + "weight"], codes, quant, fmt)


def _layer(
    sg: SubgraphWriter,
    graph: Graph,
    node: Node,
    weights: list[Value],
    i: int,
    x: Value,
    suffix: str,
) -> Value:
    """Layer i on rows x (rows, in); `suffix` ".dropped" takes the Monte Carlo bias."""
    role, router = f"router.{i}.bias{suffix}", node.attrs.router
    bias = graph.param(node, role)
    bias_value = bias_constant(sg, node.params[role], bias, x.q, weights[i].q)
    activation = "relu" if i < router.layers - 1 else "none"
    name = f"{node.name}.router.{i}{suffix}"
    return fully_connected(sg, name, x, weights[i], bias_value, router.quants[i], activation)


def _dropped(sg: SubgraphWriter, node: Node, i: int, x: Value, mask: Array) -> Value:
    """x times layer i's masks (passes, in) / (1 - p): the same integers under a larger scale."""
    factor = 1.0 / (1.0 - node.attrs.router.dropout)
    name = f"{node.name}.router.{i}"
    keep = sg.constant(name + ".mask", mask.astype(np.int8), Quant((factor,), 0))
    scaled = Quant((x.q.per_tensor * factor,), x.q.zero_point)
    return step.multiply(sg, name + ".masked", x, keep, scaled)


def _limit(graph: Graph, node: Node) -> float:
    """Uncertainty that the int16 must reach: a few times what the rule looks at."""
    passes: int = node.attrs.router.passes
    most = passes / (passes - 1)  # sum_e Var(p_e) of probabilities, experts disagreeing fully
    roles = [r for r in ("router.u_max", "router.threshold") if r in node.params]
    frozen = [float(graph.param(node, r)[0]) / _per_unit(passes) for r in roles]
    return min([most, *(HEADROOM * u for u in frozen if u > 0)])


def _per_unit(passes: int) -> float:
    """U of an uncertainty of 1."""
    return passes * (passes - 1) * SQUARE_Q30


def _uncertainty(
    sg: SubgraphWriter,
    graph: Graph,
    node: Node,
    weights: list[Value],
    first: Value,
    limit: float,
) -> Value:
    """u int16 (1, 1): the masks become the batch; mean of squares, then M E / (M - 1) times it."""
    router: Router = node.attrs.router
    x, name = first, node.name
    for i in range(1, router.layers):
        x = _dropped(sg, node, i, x, graph.param(node, f"router.{i}.mask"))
        x = _layer(sg, graph, node, weights, i, x, ".dropped")
    return spread(sg, name, x, limit)


def spread(sg: SubgraphWriter, name: str, logits: Value, limit: float) -> Value:
    """Unbiased variance over rows of the probabilities of logits (rows, E), summed over E: int16
    (1, 1), up to `limit`.

    A square beyond (rows - 1) * limit alone carries it past the limit, so saturation loses nothing.
    """
    passes = logits.shape[0]
    p = probabilities(sg, name + ".passes", logits)
    mean = step.mean(sg, name + ".mean_probability", p, [0], PROBABILITY)
    d = step.subtract(sg, name + ".deviation", p, mean, PROBABILITY)
    largest = min(1.0, (passes - 1) * limit)
    square = step.multiply(sg, name + ".square", d, d, step.symmetric16(largest))
    factor = passes * p.shape[1] / (passes - 1)
    small = step.mean(sg, name + ".variance", square, [0, 1], step.symmetric16(limit / factor))
    by = step.constant16(sg, name + ".variance_factor", np.full((1, 1), factor))
    return step.multiply(sg, name + ".uncertainty16", small, by, step.symmetric16(limit))


def _scores(sg: SubgraphWriter, graph: Graph, node: Node, logits: Value, u: Value | None) -> Value:
    """Scores int16 (1, E), in logit units: the int8 logit plus the rule's boost."""
    boost = _boost(graph, node, logits.shape[1])
    reach = 256.0 + (float(boost.max()) if boost is not None else 0.0)
    # a power of two of a logit's step, so that equal logits stay equal and small boosts count
    fine = 2.0 ** int(np.floor(np.log2(step.INT16_MAX / reach)))
    quant = Quant((logits.q.per_tensor / fine,), 0)
    wide = step.quantize(sg, node.name + ".scores_plain", logits, "int16", quant)
    if boost is None or u is None:
        return wide
    pull = _pull(sg, graph, node, u)
    weight = boost * logits.q.per_tensor / (pull.q.per_tensor * step.INT16_MAX)
    if node.attrs.router.rule == "escalation":
        weight = weight * ESCALATION_GAIN
    table = step.constant16(sg, node.name + ".boost_table", weight.reshape(1, -1))
    raised = step.multiply(sg, node.name + ".boost", pull, table, quant)
    return step.add(sg, node.name + ".scores", wide, raised, quant)


def _boost(graph: Graph, node: Node, experts: int) -> Array | None:
    """Largest boost of each expert in logit steps (E,), or None when the rule cannot act."""
    router: Router = node.attrs.router
    if router.kind == "plain" or router.rule == "off":
        return None
    if router.rule == "escalation":
        boost = np.zeros(experts)
        boost[int(graph.param(node, "router.precise")[0])] = 256.0
        return boost
    span = int(graph.param(node, "router.u_max")[0]) - int(graph.param(node, "router.u_min")[0])
    boost = graph.param(node, "router.prior").astype(np.float64) * span / 2.0**SCORE_BITS
    return boost if boost.max() > 0 else None


def _pull(sg: SubgraphWriter, graph: Graph, node: Node, u: Value) -> Value:
    """What multiplies the boost, full at 32767.

    precision_prior: clamp(u - u_min, 0, u_max - u_min). Escalation: one step
    of u above the threshold gives a quarter.
    """
    router: Router = node.attrs.router
    unit = _per_unit(router.passes)
    if router.rule == "escalation":
        start, span = float(graph.param(node, "router.threshold")[0]) / unit, 0.0
    else:
        start = float(graph.param(node, "router.u_min")[0]) / unit
        span = float(graph.param(node, "router.u_max")[0]) / unit - start
    # SUB rescales to at least 2^-14 of the input's step
    span = max(span, 4 * u.q.per_tensor)
    low = sg.constant(
        node.name + ".u_min",
        np.array([[min(round(start / u.q.per_tensor), step.INT16_MAX)]], dtype=np.int16),
        u.quant,
    )
    return step.subtract(sg, node.name + ".pull", u, low, step.symmetric16(span), "relu")


def _differences(sg: SubgraphWriter, name: str, scores: Value) -> Value:
    """score_j - score_i at [j, i], int8 (E, E): one score step each, saturating."""
    experts = scores.shape[1]
    column = step.reshape(sg, name + ".scores_column", scores, (experts, 1))
    wide = step.subtract(sg, name + ".differences16", column, scores, scores.q)
    return step.quantize(sg, name + ".differences", wide, "int8", scores.q)


def _best(sg: SubgraphWriter, node: Node, differences: Value) -> Value:
    """The route int32 (1,): the first expert that nobody is ahead of."""
    name, experts = node.name, differences.shape[1]
    square = step.reshape(sg, name + ".ahead_map", differences, (1, experts, experts, 1))
    ahead = step.largest(sg, name + ".ahead", square)
    behind = step.reshape(sg, name + ".behind", ahead, (1, experts))
    zero = sg.constant(name + ".zero", np.zeros((1, 1), dtype=np.int8), differences.quant)
    order = step.subtract(sg, name + ".order", zero, behind, differences.q)
    axis = sg.constant(name + ".order_axis", np.array(1, dtype=np.int32))
    best = sg.value(node.outputs[1], (1,), "int32")
    arg_max = schema.ArgMaxOptionsT(outputType=schema.TensorType.INT32)
    sg.op("ARG_MAX", [order, axis], [best], arg_max)
    return best

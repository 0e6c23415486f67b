"""Curiosity's constants from the calibration rows, as integers: a batch of one is routed too."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from edgeq.ir import Graph, Node
from edgeq.ops.mixture import Mixture, precision_prior
from edgeq.ops.op import Array, quant_of
from edgeq.ops.router import (
    SCORE_BITS,
    Router,
    logits_of,
    monte_carlo_numerator,
    scores,
    uncertainty_real,
)
from edgeq.passes.float_forward import HIGH, LOW
from edgeq.reference import run

CONSTANT = "the uncertainty does not vary on the calibration set"
# in logit steps; the largest difference of two logits is 255, and scores stay below 2^63
LARGEST_STRENGTH = 2.0**22


@dataclass(frozen=True)
class Curiosity:
    """What the frozen rule does on the calibration rows; `note` is empty when all is well."""

    rule: str
    alpha: float
    u_min: float
    u_max: float
    threshold: float
    routes: tuple[int, ...]
    changed: int
    rows: int
    note: str


def freeze_router(graph: Graph, rows: Array) -> tuple[Graph, Curiosity | None]:
    """Freezes u_min, u_max, prior or threshold; `rows` int8 (rows, *input shape).

    The rule becomes "off" where it cannot work: a plain router, experts of equal bits, or an
    uncertainty that never varies. Without a mixture the graph comes back as it was.
    """
    node = next((n for n in graph.nodes if n.op == "Mixture"), None)
    if node is None:
        return graph, None
    numerator, logits = _observe(graph, node, rows)
    attrs: Mixture = node.attrs
    values, reason = _constants(attrs, numerator)
    router = attrs.router if not reason else replace(attrs.router, rule="off")
    names = {role: f"{node.name}.{role}" for role in values}
    frozen = replace(node, attrs=replace(attrs, router=router), params={**node.params, **names})
    graph = graph.with_nodes(frozen if n is node else n for n in graph.nodes)
    graph = graph.with_constants({names[r]: v for r, v in values.items()})
    return graph, _effect(router, len(attrs.experts), logits, numerator, values, reason)


def _observe(graph: Graph, node: Node, rows: Array) -> tuple[Array, Array]:
    """U and logits on the rows, from the integer reference."""
    before = graph.nodes[: graph.nodes.index(node)]
    stem = replace(graph, nodes=before, outputs=(node.inputs[1],))
    features = run(stem, rows).values[node.inputs[1]].reshape(len(rows), -1)
    router, params = node.attrs.router, graph.params(node)
    zero = quant_of(graph.tensors[node.inputs[1]]).zero_point
    logits, first = logits_of(router, features, zero, params)
    return monte_carlo_numerator(router, first, params), logits


def _constants(attrs: Mixture, numerator: Array) -> tuple[dict[str, Array], str]:
    router = attrs.router
    bits = tuple(e.bits for e in attrs.experts)
    if router.rule == "off":
        return {}, ""
    if router.kind == "plain":
        return {}, "a plain router has no uncertainty"
    if min(bits) == max(bits):
        return {}, "all experts have the same bits"
    if numerator.min() == numerator.max():
        return {}, CONSTANT
    if router.rule == "escalation":
        threshold = int(np.quantile(numerator, router.quantile, method="lower"))
        precise = np.array([attrs.most_precise], np.int32)
        return {"router.threshold": np.array([threshold], np.int64), "router.precise": precise}, ""
    u_min = int(np.quantile(numerator, LOW, method="lower"))
    u_max = int(np.quantile(numerator, HIGH, method="higher"))
    if u_max == u_min:
        return {}, CONSTANT
    return prior_constants(router, bits, u_min, u_max), ""


def prior_constants(
    router: Router, bits: tuple[float, ...], u_min: int, u_max: int
) -> dict[str, Array]:
    """prior_e: 2^40 alpha beta_e / (logit scale * (u_max - u_min)), so that scores are integers.

    Rounded from one expert to the next more precise one, not expert by expert: so no difference
    of two priors ever falls while alpha grows, and neither does the precision of a route.
    """
    strength = min(router.alpha / router.quants[-1].per_tensor, LARGEST_STRENGTH)
    step = strength * 2.0**SCORE_BITS / (u_max - u_min)
    beta, prior, total = precision_prior(bits), {0.0: 0}, 0
    for low, high in pairwise(sorted(set(beta))):
        total += round((high - low) * step)
        prior[high] = total
    return {
        "router.prior": np.array([prior[b] for b in beta], np.int64),
        "router.u_min": np.array([u_min], np.int64),
        "router.u_max": np.array([u_max], np.int64),
    }


def _effect(
    router: Router,
    experts: int,
    logits: Array,
    numerator: Array,
    values: dict[str, Array],
    reason: str,
) -> Curiosity:
    base = np.argmax(logits, axis=1)
    routes = np.argmax(scores(router, logits, numerator, values), axis=1)
    changed = int((base != routes).sum())
    note = f"curiosity is off: {reason}" if reason else ""
    if not reason and router.rule != "off" and changed == 0:
        note = f"curiosity has no effect: no calibration row changes its route at {router.rule}"

    def real(role: str) -> float:
        value = values.get(role)
        return float(uncertainty_real(int(value[0]), router.passes)) if value is not None else 0.0

    return Curiosity(
        rule=router.rule,
        alpha=router.alpha,
        u_min=real("router.u_min"),
        u_max=real("router.u_max"),
        threshold=real("router.threshold"),
        routes=tuple(int(c) for c in np.bincount(routes, minlength=experts)),
        changed=changed,
        rows=len(logits),
        note=note,
    )

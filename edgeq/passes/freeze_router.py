"""Curiosity's constants from the calibration rows, as integers: a batch of one is routed too."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from edgeq.ir import Graph
from edgeq.ops.mixture import Mixture, choose, precision_prior
from edgeq.ops.op import Array, quant_of
from edgeq.ops.routed import stem_of
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
class Observed:
    """What the router says of the calibration rows, whatever its rule: U (rows,), logits (rows, E).

    `name` is the mixture's node.
    """

    name: str
    numerator: Array
    logits: Array


@dataclass(frozen=True)
class Curiosity:
    """What the frozen rule does on the calibration rows; `note` is empty when all is well.

    `chosen` (rows, top_k): the experts of each row, its route first.
    """

    rule: str
    alpha: float
    u_min: float
    u_max: float
    threshold: float
    routes: tuple[int, ...]
    changed: int
    rows: int
    note: str
    chosen: Array = field(compare=False, repr=False)


def observe(graph: Graph, rows: Array) -> Observed | None:
    """The router on int8 `rows` (rows, *input shape), by the reference; None without a mixture."""
    node = next((n for n in graph.nodes if n.op == "Mixture"), None)
    if node is None:
        return None
    stem = stem_of(graph, node, node.inputs[1])
    features = run(stem, rows).values[node.inputs[1]].reshape(len(rows), -1)
    router, params = node.attrs.router, graph.params(node)
    zero = quant_of(graph.tensors[node.inputs[1]]).zero_point
    logits, first = logits_of(router, features, zero, params)
    return Observed(node.name, monte_carlo_numerator(router, first, params), logits)


def freeze_router(
    graph: Graph, seen: Observed | None, wanted: Router | None = None
) -> tuple[Graph, Curiosity | None]:
    """Freezes u_min, u_max, prior or threshold of `wanted`, the graph's own router by default.

    The rule becomes "off" where it cannot work: a plain router, experts of equal bits, or an
    uncertainty that never varies. Without a mixture (None) the graph comes back as it was.
    """
    if seen is None:
        return graph, None
    node = next(n for n in graph.nodes if n.name == seen.name)
    attrs: Mixture = replace(node.attrs, router=wanted or node.attrs.router)
    values, reason = rule_constants(attrs, seen.numerator)
    router = attrs.router if not reason else replace(attrs.router, rule="off")
    names = {role: f"{node.name}.{role}" for role in values}
    frozen = replace(node, attrs=replace(attrs, router=router), params={**node.params, **names})
    graph = graph.with_nodes(frozen if n is node else n for n in graph.nodes)
    graph = graph.with_constants({names[r]: v for r, v in values.items()})
    return graph, _effect(router, attrs, seen, values, reason)


def frozen_curiosity(graph: Graph, seen: Observed | None) -> Curiosity | None:
    """What a rule that is frozen already does on the rows that were seen; None without a router."""
    if seen is None:
        return None
    node = next(n for n in graph.nodes if n.name == seen.name)
    return _effect(node.attrs.router, node.attrs, seen, graph.params(node), "")


def chosen_experts(graph: Graph, rows: Array) -> Array:
    """The experts that run int8 rows, as `Answered.chosen` has them; no columns without any.

    Of a mixture only the layers before it and its router are run.
    """
    seen = observe(graph, rows)
    if seen is None:
        return _cascaded(graph, rows)
    node = next(n for n in graph.nodes if n.name == seen.name)
    score = scores(node.attrs.router, seen.logits, seen.numerator, graph.params(node))
    return choose(score, node.attrs.top_k)


def _cascaded(graph: Graph, rows: Array) -> Array:
    cascaded = any(node.op == "Cascade" for node in graph.nodes)
    return run(graph, rows).chosen if cascaded else np.zeros((len(rows), 0), np.int64)


def routes_under(attrs: Mixture, seen: Observed) -> Array:
    """The experts (rows, top_k) of each row under the rule of `attrs`, its constants frozen now."""
    values, reason = rule_constants(attrs, seen.numerator)
    router = attrs.router if not reason else replace(attrs.router, rule="off")
    return choose(scores(router, seen.logits, seen.numerator, values), attrs.top_k)


def rule_constants(attrs: Mixture, numerator: Array) -> tuple[dict[str, Array], str]:
    """The rule's constants by role, or none and why the rule cannot work."""
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
    router: Router, attrs: Mixture, seen: Observed, values: Mapping[str, Array], reason: str
) -> Curiosity:
    base = np.argmax(seen.logits, axis=1)
    chosen = choose(scores(router, seen.logits, seen.numerator, values), attrs.top_k)
    routes = chosen[:, 0]
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
        routes=tuple(int(c) for c in np.bincount(routes, minlength=len(attrs.experts))),
        changed=changed,
        rows=len(chosen),
        note=note,
        chosen=chosen,
    )

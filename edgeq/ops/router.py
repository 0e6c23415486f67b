"""The Bayesian router in integers: logits, Monte Carlo uncertainty and the route.

Uncertainty is u = sum_e Var_m(P_m[e]) (unbiased, M passes; arXiv 2511.11743). With Q15
probabilities it is kept as the exact integer U = sum_e (M sum_m p^2 - (sum_m p)^2), so that
u = U / (M (M - 1) 2^30); nothing is rounded between logit, U and route.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeq.ir import Quant
from edgeq.ops.fixed_point import Int64, requantize, softmax_q15
from edgeq.ops.fully_connected import accumulate
from edgeq.ops.hold import held
from edgeq.ops.op import Array, Params, activation_bounds

RULES = ("precision_prior", "escalation", "off")
SCORE_BITS = 40  # a step of a router logit weighs 2^40 in a score
MAX_PASSES = 64


@dataclass(frozen=True)
class Router:
    """Linear - ReLU - Dropout - ... - Linear. Layer i's constants are "router.<i>.<role>".

    `hold`: where rows follow on one another, how many more escalate behind one that does.
    `quants` types each layer's output; a dropped pass shares it. Layer 0 stands before any
    dropout: it is computed once. `seed` numbers the masks of `mc_dropout.dropout_masks`.
    """

    kind: str = "bayesian"
    layers: int = 3
    passes: int = 10
    dropout: float = 0.2
    seed: int = 0
    rule: str = "precision_prior"
    alpha: float = 1.0
    quantile: float = 0.8
    hold: int = 0
    quants: tuple[Quant, ...] = ()


@dataclass(frozen=True)
class Routing:
    """Per row: q logits int8 (rows, E), U int64 (rows,), adjusted scores int64 (rows, E). `left`:
    rows behind the last that still escalate (ops/hold.py).
    """

    logits: Array
    uncertainty: Int64
    scores: Int64
    left: int = 0


def _layer(router: Router, i: int, x: Array, zero: int, params: Params, suffix: str) -> Array:
    out = router.quants[i]
    role = f"router.{i}."
    acc = accumulate(x, zero, params[role + "weight"], params[role + "bias" + suffix])
    low, high = activation_bounds("relu" if i < router.layers - 1 else "none", out)
    multiplier, shift = params[role + "multiplier" + suffix], params[role + "shift" + suffix]
    return requantize(acc, multiplier, shift, out.zero_point, low, high)


def _pass_logits(
    router: Router, first: Array, params: Params, masks: Sequence[Array] | None
) -> Array:
    """Layers 1.. on the first one's output; `masks[i - 1]` (width,) keeps units before layer i."""
    x, suffix = first, "" if masks is None else ".dropped"
    for i in range(1, router.layers):
        zero = router.quants[i - 1].zero_point
        if masks is not None:
            x = np.where(masks[i - 1] != 0, x, zero).astype(np.int8)
        x = _layer(router, i, x, zero, params, suffix)
    return x


def uncertainty_numerator(probabilities: Int64) -> Int64:
    """U of Q15 probabilities (passes, rows, E): exact int64 (rows,)."""
    passes = probabilities.shape[0]
    squares, sums = (probabilities**2).sum(axis=0), probabilities.sum(axis=0)
    return np.asarray((passes * squares - sums**2).sum(axis=-1))


def uncertainty_q24(numerator: Int64, passes: int) -> Int64:
    """U as the Q8.24 fixed-point number that the firmware reports."""
    return ((numerator >> 6) * uncertainty_factor(passes) + (1 << 33)) >> 34


def uncertainty_factor(passes: int) -> int:
    """2^34 / (M (M - 1)), rounded."""
    return round(2**34 / (passes * (passes - 1)))


def numerator_per_step(passes: int) -> int:
    """U of one step of the Q8.24 number that the firmware reports."""
    return passes * (passes - 1) << 6


def uncertainty_real(numerator: int, passes: int) -> float:
    """U as a float."""
    return numerator / (passes * (passes - 1) * 2.0**30)


def logits_of(router: Router, x: Array, zero_point: int, params: Params) -> tuple[Array, Array]:
    """(logits int8 (rows, E), first layer's output) of the pass without dropout."""
    first = _layer(router, 0, x, zero_point, params, "")
    return _pass_logits(router, first, params, None), first


def monte_carlo_numerator(router: Router, first: Array, params: Params) -> Int64:
    """U (rows,) from the first layer's output; zero for a plain router."""
    if router.kind == "plain":
        return np.zeros(first.shape[0], dtype=np.int64)
    table = params["router.exp_table"].astype(np.uint16)
    probabilities = []
    for m in range(router.passes):
        masks = [params[f"router.{i}.mask"][m] for i in range(1, router.layers)]
        probabilities.append(softmax_q15(_pass_logits(router, first, params, masks), table))
    return uncertainty_numerator(np.stack(probabilities))


def scores(router: Router, logits: Array, numerator: Int64, params: Params) -> Int64:
    """Exact integer scores (rows, E) from a reset on; the route is their arg-max, ties to the lower
    index.

    precision_prior: 2^40 q_e + clamp(U - u_min, 0, u_max - u_min) * prior_e.
    escalation: U > threshold puts the most precise expert ahead of all, also in the `hold` rows
    behind.
    """
    return scores_after(router, logits, numerator, params, 0)[0]


def scores_after(
    router: Router, logits: Array, numerator: Int64, params: Params, left: int
) -> tuple[Int64, int]:
    """`scores`, where the rows before leave `left` to escalate, and how many these leave."""
    score = logits.astype(np.int64) << SCORE_BITS
    if router.rule == "precision_prior":
        u_min, u_max = int(params["router.u_min"][0]), int(params["router.u_max"][0])
        clamped = np.clip(numerator - u_min, 0, u_max - u_min)
        return score + clamped[:, None] * params["router.prior"].astype(np.int64), 0
    if router.rule == "escalation":
        unsure = np.asarray(numerator > int(params["router.threshold"][0]))
        escalated, left = held(unsure, left, router.hold)
        score[escalated, int(params["router.precise"][0])] = 1 << (SCORE_BITS + 9)
    return score, left


def route_rows(router: Router, x: Array, zero_point: int, params: Params, left: int = 0) -> Routing:
    """Routing of int8 rows (rows, features); `left` as `scores_after` has it."""
    logits, first = logits_of(router, x, zero_point, params)
    numerator = monte_carlo_numerator(router, first, params)
    return Routing(logits, numerator, *scores_after(router, logits, numerator, params, left))

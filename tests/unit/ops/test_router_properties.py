"""Curiosity's properties on the integer reference: what must hold for every router and input."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.ir import Graph, Node, Quant
from edgeq.ops.fixed_point import softmax_q15
from edgeq.ops.mc_dropout import dropout_masks
from edgeq.ops.mixture import choose, precision_prior
from edgeq.ops.op import Array
from edgeq.ops.router import (
    MAX_PASSES,
    Router,
    scores,
    uncertainty_numerator,
    uncertainty_q24,
    uncertainty_real,
)
from edgeq.passes.freeze_router import Curiosity, freeze_router, observe, prior_constants
from edgeq.reference import Answered, run
from tests import factory

BITS = np.array([1.58, 4.0, 8.0])
seeds = st.integers(0, 7)
alphas = st.floats(0, 1e4) | st.sampled_from((0.0, 0.01, 1.0, 1e12))
bit_tuples = st.lists(
    st.sampled_from((1.0, 1.58, 2.0, 3.0, 4.0, 8.0, 16.0)), min_size=2, max_size=5
)


@cache
def mixture(seed: int, formats: tuple[str, ...] = ("t2", "s4", "s8")) -> tuple[Graph, Array]:
    """A small mixture behind a trunk, and 40 rows for it."""
    rng = np.random.default_rng(seed)
    graph = factory.mixture_graph(rng, trunk="fc", passes=5, formats=formats)
    return graph, factory.input_rows(rng, graph, 40)


def mixture_node(graph: Graph) -> Node:
    return next(n for n in graph.nodes if n.op == "Mixture")


def with_router(graph: Graph, rows: Array, **changes: Any) -> tuple[Graph, Curiosity]:
    """The graph with its router changed and frozen again on the rows."""
    node = mixture_node(graph)
    router = replace(node.attrs.router, **changes)
    kept = {
        r: n
        for r, n in node.params.items()
        if r.split(".")[-1] not in ("prior", "u_min", "u_max", "threshold", "precise")
    }
    changed = replace(node, attrs=replace(node.attrs, router=router), params=kept)
    graph = graph.with_nodes(changed if n is node else n for n in graph.nodes)
    frozen, curiosity = freeze_router(graph, observe(graph, rows))
    assert curiosity is not None
    return frozen, curiosity


def routed(seed: int, **changes: Any) -> Answered:
    graph, rows = mixture(seed)
    return run(with_router(graph, rows, **changes)[0], rows)


def plain_routes(result: Answered) -> Array:
    assert result.router_logits is not None
    return np.argmax(result.router_logits, axis=1)


# --- the rule alone, on any logits and uncertainties


def rule_routes(
    logits: Array, numerator: Array, alpha: float, bits: tuple[float, ...], scale: float
) -> Array:
    router = Router(alpha=alpha, quants=(Quant((scale,)),))
    low, high = int(numerator.min()), int(numerator.max()) + 1
    params = prior_constants(router, bits, low, high)
    return choose(scores(router, logits, numerator, params), 1)[:, 0]


def some_rows(seed: int, experts: int, largest: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    logits = rng.integers(-128, 128, (60, experts)).astype(np.int8)
    logits[:20] //= 64  # ties and near ties
    numerator = rng.integers(0, largest, 60)
    numerator[:2] = 0, largest - 1
    return logits, numerator


cases = {
    "seed": st.integers(0, 10**6),
    "bits": bit_tuples.map(tuple),
    "scale": st.floats(2.0**-20, 4.0),
    "largest": st.sampled_from((1, 7, 2**20, 2**34, 2**42)),
}


@given(**cases)
def test_alpha_zero_is_the_identity(
    seed: int, bits: tuple[float, ...], scale: float, largest: int
) -> None:
    logits, numerator = some_rows(seed, len(bits), largest)
    routes = rule_routes(logits, numerator, 0.0, bits, scale)
    np.testing.assert_array_equal(routes, np.argmax(logits, axis=1))


@given(**cases, pair=st.tuples(alphas, alphas).map(sorted))
def test_the_bits_of_every_rows_route_never_fall_as_alpha_grows(
    seed: int, bits: tuple[float, ...], scale: float, largest: int, pair: list[float]
) -> None:
    logits, numerator = some_rows(seed, len(bits), largest)
    routes = [rule_routes(logits, numerator, alpha, bits, scale) for alpha in pair]
    before, after = (np.asarray(bits)[r] for r in routes)
    assert (after >= before).all()


@given(**cases)
def test_the_bits_of_a_route_never_fall_as_uncertainty_grows(
    seed: int, bits: tuple[float, ...], scale: float, largest: int
) -> None:
    logits, numerator = some_rows(seed, len(bits), largest)
    same = np.repeat(logits[:1], len(numerator), axis=0)
    order = np.argsort(numerator, kind="stable")
    routes = rule_routes(same, numerator[order], 1.0, bits, scale)
    assert (np.diff(np.asarray(bits)[routes]) >= 0).all()


@given(**cases, alpha=alphas)
def test_the_rule_is_the_published_one_but_for_near_ties(
    seed: int, bits: tuple[float, ...], scale: float, largest: int, alpha: float
) -> None:
    """argmax of logit + alpha u_n beta in float64; the frozen prior is whole, 2^-40 a step."""
    logits, numerator = some_rows(seed, len(bits), largest)
    low, span = int(numerator.min()), int(numerator.max()) + 1 - int(numerator.min())
    u_n = np.clip((numerator - low) / span, 0, 1)
    wanted = logits * scale + alpha * u_n[:, None] * np.array(precision_prior(bits))
    got = rule_routes(logits, numerator, alpha, bits, scale)
    lost = wanted.max(axis=1) - wanted[np.arange(len(got)), got]
    capped = alpha > scale * 2**22
    rounding = scale * span * 2.0**-41 * len(bits)
    assert capped or lost.max() <= 2 * rounding + 1e-9 * np.abs(wanted).max()


def test_ties_go_to_the_lower_index() -> None:
    assert choose(np.array([[3, 5, 5, 1], [2, 2, 2, 2]]), 3).tolist() == [[1, 2, 0], [0, 1, 2]]
    logits = np.full((4, 3), 7, np.int8)
    assert rule_routes(logits, np.arange(4), 0.0, (8.0, 4.0, 8.0), 0.1).tolist() == [0] * 4
    # uncertain rows go to the first of the two most precise experts
    assert rule_routes(logits, np.arange(4), 1.0, (4.0, 8.0, 8.0), 0.1).tolist() == [0, 1, 1, 1]


@given(bits=bit_tuples.map(tuple))
def test_the_prior_of_equal_bits_is_zero_and_else_spans_zero_to_one(
    bits: tuple[float, ...],
) -> None:
    beta = precision_prior(bits)
    assert min(beta) == 0.0
    assert max(beta) == (0.0 if len(set(bits)) == 1 else 1.0)


# --- uncertainty


@given(
    seed=st.integers(0, 10**6),
    passes=st.integers(2, MAX_PASSES),
    experts=st.integers(2, 6),
    scale=st.floats(1e-3, 0.5),
)
def test_uncertainty_is_the_unbiased_variance(
    seed: int, passes: int, experts: int, scale: float
) -> None:
    """Exactly that of the Q15 probabilities; within 2^-14 a probability of float softmax."""
    q = np.random.default_rng(seed).integers(-128, 128, (passes, 8, experts))
    table = np.round(np.exp(-np.arange(256) * scale) * 2**15).astype(np.uint16)
    p = softmax_q15(q, table)
    u = uncertainty_real(uncertainty_numerator(p), passes)
    np.testing.assert_allclose(u, (p / 2**15).var(axis=0, ddof=1).sum(axis=-1), atol=1e-12)
    e = np.exp((q - q.max(axis=-1, keepdims=True)) * scale)
    exact = (e / e.sum(axis=-1, keepdims=True)).var(axis=0, ddof=1).sum(axis=-1)
    # each probability errs by d <= experts / 2^15, so a variance by 2 sd d sqrt 2 + 2 d^2
    d = experts * 2.0**-15
    assert np.abs(u - exact).max() <= experts * (2 * d + 2 * d * d)


@given(seed=st.integers(0, 10**6), passes=st.integers(2, MAX_PASSES))
def test_the_reported_uncertainty_is_within_2_to_the_minus_20(seed: int, passes: int) -> None:
    p = np.random.default_rng(seed).integers(0, 2**15 + 1, (passes, 20, 3))
    numerator = uncertainty_numerator(p)
    real = uncertainty_real(numerator, passes)
    q24 = uncertainty_q24(numerator, passes)
    assert (q24 >= 0).all()
    assert np.abs(q24 / 2**24 - real).max() <= 2.0**-20


def test_uncertainty_of_extreme_passes_stays_in_its_type() -> None:
    for passes in (2, MAX_PASSES):
        p = np.zeros((passes, 1, 2), np.int64)
        p[::2, :, 0] = p[1::2, :, 1] = 2**15
        u = uncertainty_real(uncertainty_numerator(p), passes)
        np.testing.assert_allclose(u, passes / (passes - 1) / 2)
        assert abs(int(uncertainty_q24(uncertainty_numerator(p), passes)[0]) / 2**24 - u[0]) < 1e-6


@pytest.mark.parametrize("passes", [-1, 0, 1])
def test_fewer_than_two_passes_are_refused(passes: int) -> None:
    with pytest.raises(ValueError, match="at least 2 passes"):
        dropout_masks(0, passes, 8, 0, 0.2)


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_dropout_probability_outside_its_range_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        dropout_masks(0, 4, 8, 0, p)


@given(seed=st.integers(-(2**40), 2**40), layer=st.integers(0, 3), p=st.floats(0, 0.95))
def test_masks_are_seeded_bits_that_keep_about_their_share(seed: int, layer: int, p: float) -> None:
    masks = dropout_masks(seed, 10, 60, layer, p)
    np.testing.assert_array_equal(masks, dropout_masks(seed, 10, 60, layer, p))
    assert set(np.unique(masks)) <= {0, 1}
    assert abs(masks.mean() - (1 - p)) < 6 * np.sqrt(p * (1 - p) / masks.size) + 1e-9


def test_layers_and_seeds_have_masks_of_their_own() -> None:
    masks = [dropout_masks(s, 10, 64, layer, 0.5) for s in range(3) for layer in range(2)]
    for i, a in enumerate(masks):
        assert all((a != b).any() for b in masks[:i])
        assert len({row.tobytes() for row in a}) == len(a)


# --- whole mixtures through the reference


@given(seed=seeds)
def test_a_mixture_at_alpha_zero_routes_as_without_a_rule(seed: int) -> None:
    zero, off = routed(seed, alpha=0.0), routed(seed, rule="off")
    np.testing.assert_array_equal(zero.route, off.route)
    np.testing.assert_array_equal(zero.output, off.output)
    np.testing.assert_array_equal(off.route, plain_routes(off))


@given(seed=seeds, rising=st.lists(st.floats(0, 50), min_size=2, max_size=4).map(sorted))
def test_a_mixtures_share_of_precise_experts_never_falls(seed: int, rising: list[float]) -> None:
    bits = np.stack([BITS[routed(seed, alpha=alpha).route] for alpha in rising])
    assert (np.diff(bits, axis=0) >= 0).all()


@given(seed=seeds, order=st.permutations(range(40)))
def test_a_row_alone_is_the_row_in_a_batch(seed: int, order: list[int]) -> None:
    """So neither neighbours nor their order matter: every row meets the same masks."""
    graph, rows = mixture(seed)
    whole, shuffled = run(graph, rows), run(graph, rows[order])
    np.testing.assert_array_equal(whole.output[order], shuffled.output)
    np.testing.assert_array_equal(whole.numerator[order], shuffled.numerator)
    for i in order[:4]:
        alone = run(graph, rows[i : i + 1])
        np.testing.assert_array_equal(alone.output[0], whole.output[i])
        assert alone.route[0] == whole.route[i]
        assert alone.numerator[0] == whole.numerator[i]
        assert alone.uncertainty[0] == whole.uncertainty[i]


def test_a_mixtures_output_is_that_of_the_routed_expert() -> None:
    graph, rows = mixture(1)
    result, node = run(graph, rows), mixture_node(graph)
    assert len(set(result.route.tolist())) > 1
    x = result.values[node.inputs[0]]
    for row, e in enumerate(result.route):
        alone = run(node.attrs.experts[e].graph, x[row : row + 1]).output
        np.testing.assert_array_equal(result.output[row], alone[0])


@given(seed=seeds, quantile=st.sampled_from((0.0, 0.25, 0.5, 0.8, 1.0)))
def test_escalation_sends_exactly_the_rows_above_the_quantile(seed: int, quantile: float) -> None:
    graph, rows = mixture(seed)
    frozen, curiosity = with_router(graph, rows, rule="escalation", quantile=quantile)
    result = run(frozen, rows)
    threshold = np.quantile(result.numerator, quantile, method="lower")
    above = result.numerator > threshold
    assert (result.route[above] == 2).all()
    np.testing.assert_array_equal(result.route[~above], plain_routes(result)[~above])
    assert above.sum() <= round((1 - quantile) * len(rows)) + 1
    assert curiosity.threshold == uncertainty_real(threshold, 5)


def test_escalation_prefers_the_first_of_the_most_precise() -> None:
    graph, rows = mixture(2, ("s8", "t2", "s8"))
    frozen, _ = with_router(graph, rows, rule="escalation", quantile=0.0)
    assert int(frozen.param(mixture_node(frozen), "router.precise")[0]) == 0


@given(seed=seeds, rule=st.sampled_from(("precision_prior", "escalation")))
def test_the_export_says_what_curiosity_does(seed: int, rule: str) -> None:
    """Some calibration row changes its route, or the note says that curiosity has no effect."""
    graph, rows = mixture(seed)
    frozen, curiosity = with_router(graph, rows, rule=rule)
    result = run(frozen, rows)
    changed = int((result.route != plain_routes(result)).sum())
    assert (curiosity.changed, curiosity.rows) == (changed, len(rows))
    assert curiosity.routes == tuple(np.bincount(result.route, minlength=3))
    assert (changed > 0) == (curiosity.note == "")
    assert changed or "no effect" in curiosity.note


def test_alpha_zero_has_no_effect_and_says_so() -> None:
    curiosity = with_router(*mixture(0), alpha=0.0)[1]
    assert (curiosity.changed, curiosity.rule) == (0, "precision_prior")
    assert "no effect" in curiosity.note


@pytest.mark.parametrize("rule", ["precision_prior", "escalation"])
def test_equal_bits_turn_the_rule_off_and_the_note_says_so(rule: str) -> None:
    graph, rows = mixture(3, ("s4", "s4"))
    frozen, curiosity = with_router(graph, rows, rule=rule)
    assert mixture_node(frozen).attrs.router.rule == curiosity.rule == "off"
    assert "same bits" in curiosity.note
    result = run(frozen, rows)
    np.testing.assert_array_equal(result.route, plain_routes(result))


@pytest.mark.parametrize("rule", ["precision_prior", "escalation"])
def test_an_uncertainty_that_never_varies_turns_the_rule_off(rule: str) -> None:
    graph, rows = mixture(4)
    frozen, curiosity = with_router(graph, np.repeat(rows[:1], 20, axis=0), rule=rule)
    assert mixture_node(frozen).attrs.router.rule == curiosity.rule == "off"
    assert "does not vary" in curiosity.note


def test_a_plain_router_turns_the_rule_off() -> None:
    rng = np.random.default_rng(0)
    graph = factory.mixture_graph(rng, kind="plain", rule="off")
    rows = factory.input_rows(rng, graph, 9)
    frozen, curiosity = with_router(graph, rows, rule="precision_prior")
    assert curiosity.rule == "off"
    assert "plain router" in curiosity.note
    assert not run(frozen, rows).uncertainty.any()


def test_a_graph_without_a_mixture_is_left_alone() -> None:
    graph = factory.fc_graph(np.random.default_rng(0))
    seen = observe(graph, factory.input_rows(np.random.default_rng(0), graph, 4))
    assert seen is None
    assert freeze_router(graph, seen) == (graph, None)

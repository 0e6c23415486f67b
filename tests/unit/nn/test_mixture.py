"""Mixtures: what they return, and the properties of curiosity (route and batch)."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeq import nn
from edgeq.errors import BadInput
from edgeq.nn import (
    BayesianRouter,
    Conv2d,
    GlobalAvgPool,
    Linear,
    Mixture,
    PlainRouter,
    ReLU,
    Sequential,
    TrunkMixture,
    curiosity,
    freeze_curiosity,
    paper_mixture,
)

KINDS = ("ternary", "int4", "int8")


def _mixture(seed: int = 0, calibrated: bool = True, **options: object) -> Mixture:
    torch.manual_seed(seed)
    experts = [Sequential(Linear(10, 8, k), ReLU(), Linear(8, 4)) for k in KINDS]
    router = BayesianRouter(10, 3, (16, 8), 0.3, 6, seed)
    for layer in (router.fc1, router.fc2, router.fc3):
        layer.weight.data *= 3.0  # an untrained router is too even to be interesting
    mixture = Mixture(experts, router, KINDS, **options)  # type: ignore[arg-type]
    mixture.train()(torch.randn(64, 10))
    if calibrated:
        mixture.freeze_curiosity(torch.randn(200, 10))
    return mixture.eval()


@given(seed=st.integers(0, 300))
def test_alpha_zero_is_the_identity(seed: int) -> None:
    mixture = _mixture(seed, alpha=0.0)
    x = torch.randn(50, 10)
    assert torch.equal(mixture.routing(x).experts, mixture.routing(x, "off").experts)


@given(seed=st.integers(0, 300))
def test_share_to_more_precise_experts_does_not_fall_with_alpha(seed: int) -> None:
    mixture = _mixture(seed)
    x = torch.randn(60, 10)
    previous = torch.full((60,), -1.0, dtype=torch.float64)
    for alpha in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 64.0):
        mixture.alpha = alpha
        precision = torch.tensor(mixture.bits, dtype=torch.float64)[
            mixture.routing(x).experts[:, 0]
        ]
        assert bool((precision >= previous).all())  # sample by sample, not only on average
        previous = precision


@given(
    logits=st.lists(st.integers(-4096, 4096), min_size=4, max_size=4),
    u=st.integers(0, 1024),
    alphas=st.lists(st.integers(0, 4096), min_size=2, max_size=6),
)
def test_prior_is_monotone_in_alpha(logits: list[int], u: int, alphas: list[int]) -> None:
    bits = (4.0, 1.58, 16.0, 8.0)
    beta = curiosity.precision_weights(bits)
    z, uu = torch.tensor([logits]) / 1024.0, torch.tensor([u / 1024.0])
    chosen = []
    for alpha in sorted(alphas):
        scores = curiosity.prior_scores(z, uu, 0.1, 0.9, beta, alpha / 64.0)
        chosen.append(bits[int(curiosity.top_experts(scores, 1))])
    assert chosen == sorted(chosen)


@given(
    seed=st.integers(0, 300),
    n=st.integers(1, 30),
    rule=st.sampled_from(curiosity.RULES),
    top_k=st.integers(1, 3),
)
def test_batch_of_one_equals_batch_of_n(seed: int, n: int, rule: str, top_k: int) -> None:
    mixture = _mixture(seed, rule=rule, top_k=top_k)
    x = torch.randn(n, 10)
    together, routing = mixture(x), mixture.last_routing
    assert routing is not None
    for i, row in enumerate(x):
        assert torch.equal(mixture(row[None])[0], together[i])
        assert mixture.last_routing is not None
        assert torch.equal(mixture.last_routing.experts[0], routing.experts[i])


def test_ties_go_to_the_lower_index() -> None:
    assert curiosity.top_experts(torch.zeros(3, 5), 2).tolist() == [[0, 1]] * 3
    assert curiosity.top_experts(torch.tensor([[1.0, 2.0, 2.0, 0.0]]), 1).tolist() == [[1]]
    assert curiosity.most_precise((4, 8, 8, 1.58)) == 1


def test_curiosity_acts_and_changes_some_route() -> None:
    mixture = _mixture(3, calibrated=False, alpha=4.0)
    assert not mixture.curious
    x = torch.randn(300, 10)
    assert bool((mixture.routing(x).uncertainty == 0).all())
    assert mixture.freeze_curiosity(x) > 0
    assert 0 < float(mixture.u_min) < float(mixture.u_threshold) < float(mixture.u_max)


def test_escalation_sends_the_uncertain_to_the_most_precise() -> None:
    mixture = _mixture(4, rule="escalation", quantile=0.7)
    x = torch.randn(200, 10)
    routing = mixture.routing(x)
    above = routing.uncertainty > mixture.u_threshold
    assert bool(above.any())
    assert not bool(above.all())
    assert bool((routing.experts[above] == 2).all())
    off = mixture.routing(x, "off").experts
    assert torch.equal(routing.experts[~above], off[~above])


def test_equal_bits_switch_curiosity_off() -> None:
    torch.manual_seed(0)
    experts = [Linear(10, 4, "int8") for _ in range(3)]
    mixture = Mixture(experts, BayesianRouter(10, 3, (8, 8), 0.3), (8, "ptq", "int8"))
    mixture.train()(torch.randn(64, 10))
    assert mixture.freeze_curiosity(torch.randn(100, 10)) == 0
    assert not mixture.curious


def test_outputs_per_gate_and_k() -> None:
    x = torch.randn(20, 10)
    plain, gated, two = (
        _mixture(5),
        _mixture(5, gate="probability"),
        _mixture(5, top_k=2),
    )
    logits = torch.stack([e(x) for e in plain.experts], 1)
    routing = plain.routing(x)
    rows = torch.arange(20)
    first, second = routing.experts[:, 0], two.routing(x).experts[:, 1]
    p = routing.probabilities
    want = logits[rows, first]
    torch.testing.assert_close(plain(x), want)
    torch.testing.assert_close(gated(x), p[rows, first, None] * want)
    both = p[rows, first, None] * want + p[rows, second, None] * logits[rows, second]
    torch.testing.assert_close(two(x), both)


def test_only_routed_experts_run() -> None:
    mixture = _mixture(6)
    ran: list[int] = []
    for e, expert in enumerate(mixture.experts):
        expert.register_forward_hook(lambda *_, e=e: ran.append(e))
    x = torch.randn(1, 10)
    mixture(x)
    assert mixture.last_routing is not None
    assert ran == mixture.last_routing.experts[0].tolist()


@pytest.mark.parametrize("mode", ["likelihood", "soft", "straight_through"])
@pytest.mark.parametrize("top_k", [1, 2])
def test_training_reaches_router_and_experts(mode: str, top_k: int) -> None:
    mixture = _mixture(7, train_mode=mode, top_k=top_k).train()
    x, y = torch.randn(64, 10), torch.randint(0, 4, (64,))
    torch.nn.functional.cross_entropy(mixture(x), y).backward()
    assert mixture.router.fc1.weight.grad is not None
    assert bool(mixture.router.fc1.weight.grad.abs().sum() > 0)
    assert all(bool(e[0].weight.grad.abs().sum() > 0) for e in mixture.experts)  # type: ignore
    assert mixture.balance_loss is not None
    assert float(mixture.balance_loss.detach()) > 0.9


def test_router_may_see_the_input_and_maps_are_pooled() -> None:
    torch.manual_seed(0)
    experts = [Sequential(Conv2d(6, 4, 1, k), GlobalAvgPool()) for k in KINDS]
    for sees, width in (("input", 2), ("trunk", 6)):
        mixture = Mixture(experts, BayesianRouter(width, 3, (8, 8), 0.2), KINDS)
        body = TrunkMixture(Conv2d(2, 6, 3), mixture, sees)
        x = torch.randn(40, 2, 5, 5)
        assert body.train()(x).shape == (40, 4)
        freeze_curiosity(body, x)
        assert body(x).shape == (40, 4)
        assert mixture.curious


@pytest.mark.parametrize("shared", [False, True])
def test_paper_mixture_sizes(shared: bool) -> None:
    body = paper_mixture(shared_trunk=shared, classes=5)
    parameters = sum(p.numel() for p in body.parameters())
    assert (parameters / 1e6 == pytest.approx(1.82, abs=0.05)) if shared else parameters > 3.5e6
    assert body.train()(torch.randn(4, 1536)).shape == (4, 5)
    assert body.eval()(torch.randn(2, 1536)).shape == (2, 5)


def test_bad_mixtures_are_refused() -> None:
    experts = [Linear(4, 2), Linear(4, 2)]
    router = PlainRouter(4, 2)
    for options, message in (
        ({"kinds": (4,)}, "a kind for each"),
        ({"top_k": 3}, "top_k"),
        ({"gate": "max"}, "gate"),
        ({"rule": "kl_divergence"}, "rule"),
        ({"alpha": -1.0}, "alpha"),
        ({"alpha": float("nan")}, "alpha"),
        ({"quantile": 1.5}, "quantile"),
        ({"train_mode": "hard"}, "train_mode"),
        ({"router": PlainRouter(4, 3)}, "chooses among"),
        ({"router": Linear(4, 2)}, "router is Linear"),
    ):
        given_options = {"kinds": (4, 8), "router": router, **options}
        with pytest.raises(BadInput, match=message):
            Mixture(experts, **given_options)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="router_sees"):
        TrunkMixture(Linear(4, 4), Mixture(experts, router, (4, 8)), "both")


def test_case_43_a_mixtures_kinds_are_those_of_its_layers() -> None:
    """An int8 head does not make a ternary expert one of 8 bits; depth and width are free."""
    kinds = ("ternary", "int4", "int8")
    experts = [
        nn.Sequential(nn.Linear(10, 12, kind), nn.ReLU(), nn.Linear(12, 3, "int8"))
        for kind in kinds
    ]
    for hidden in ((), (5,), (9, 7, 5)):
        mixture = nn.Mixture(experts, nn.PlainRouter(10, 3, hidden=hidden))
        assert mixture.kinds == kinds
        assert mixture.bits == nn.Mixture(experts, mixture.router, kinds).bits

"""The Bayesian router: shared first layer, seeded masks, batch invariance, unbiased variance."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput
from edgeq.nn import BayesianRouter, PlainRouter
from edgeq.ops.mc_dropout import dropout_masks


def _router(seed: int, passes: int = 4, p: float = 0.2) -> BayesianRouter:
    torch.manual_seed(seed)
    router = BayesianRouter(12, 3, (16, 8), p, passes, seed)
    router.train()(torch.randn(64, 12))
    return router.eval()


def _naive(router: BayesianRouter, x: torch.Tensor) -> torch.Tensor:
    """Every pass from the input on, one after the other."""
    keep = 1.0 / (1.0 - router.dropout)
    passes = []
    for m in range(router.passes):
        h = F.relu(router.fc1(x)) * torch.from_numpy(router.masks(0)[m]).float() * keep
        h = F.relu(router.fc2(h)) * torch.from_numpy(router.masks(1)[m]).float() * keep
        passes.append(torch.softmax(router.fc3(h).double(), -1))
    return torch.stack(passes)


@given(
    seed=st.integers(0, 500),
    n=st.integers(1, 17),
    passes=st.integers(2, 11),
    p=st.sampled_from([0.0, 0.1, 0.1953, 0.5]),
)
def test_first_layer_once_equals_naive_passes_exactly(
    seed: int, n: int, passes: int, p: float
) -> None:
    router = _router(seed, passes, p)
    x = torch.randn(n, 12)
    assert torch.equal(router.mc_probabilities(x), _naive(router, x).detach())


@given(seed=st.integers(0, 500), n=st.integers(1, 40))
def test_batch_of_one_equals_batch_of_n(seed: int, n: int) -> None:
    router = _router(seed)
    x = torch.randn(n, 12)
    rows = [row[None] for row in x]
    assert torch.equal(router(x), torch.cat([router(r) for r in rows]))
    assert torch.equal(router.uncertainty(x), torch.cat([router.uncertainty(r) for r in rows]))


def test_uncertainty_is_the_summed_unbiased_variance() -> None:
    router = _router(1, passes=10)
    x = torch.randn(9, 12)
    p = _naive(router, x).detach().numpy()
    mean = p.mean(0)
    want = ((p - mean) ** 2).sum(0).sum(-1) / (router.passes - 1)
    np.testing.assert_allclose(router.uncertainty(x).numpy(), want, rtol=1e-6)
    assert bool((router.uncertainty(x) > 0).all())


def test_masks_are_the_seeded_table_and_no_dropout_means_no_uncertainty() -> None:
    router = _router(7)
    for layer in (0, 1):
        want = dropout_masks(7, router.passes, router.hidden[layer], layer, router.dropout)
        np.testing.assert_array_equal(router.masks(layer), want)
    x = torch.randn(5, 12)
    assert bool((_router(3, p=0.0).uncertainty(x) == 0).all())
    assert bool((PlainRouter(12, 3).eval().uncertainty(x) == 0).all())


def test_uncertainty_leaves_a_training_router_as_it_was() -> None:
    router = _router(2).train()
    before = router.fc2.act.high.clone()
    router.uncertainty(torch.randn(8, 12) * 100)
    assert router.training
    assert router.fc1.act.training
    assert torch.equal(before, router.fc2.act.high)
    x = torch.randn(8, 12)
    assert not torch.equal(router(x), router(x))  # ordinary random dropout while training


def test_bad_routers_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 2 passes"):
        BayesianRouter(4, 3, passes=1)
    with pytest.raises(BadInput, match="dropout"):
        PlainRouter(4, 3, dropout=1.0)

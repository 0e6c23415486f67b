"""Codes and scales of every weight kind: levels, bounds, error, the int16 accumulator proof."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput
from edgeq.nn import KINDS, Linear, Model, Sequential, quantize_weight, weight_kind

LEVELS = {
    "ternary": {-1, 0, 1},
    "int1": {-1, 1},
    "int2": {-3, -1, 1, 3},
    "int3": set(range(-3, 4)),
    "int4": set(range(-7, 8)),
    **{f"int{k}": set(range(1 - 2 ** (k - 1), 2 ** (k - 1))) for k in range(5, 17)},
    "ptq": set(range(-127, 128)),
}


def _weight(out: int, fan_in: int, seed: int = 0, spread: float = 0.1) -> torch.Tensor:
    return torch.randn(out, fan_in, generator=torch.Generator().manual_seed(seed)) * spread


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("per_tensor", [False, True])
@given(
    out=st.integers(1, 9),
    fan_in=st.integers(1, 70),
    seed=st.integers(0, 1000),
    spread=st.sampled_from([1e-20, 1e-6, 0.05, 1.0, 1e6]),
)
def test_codes_lie_on_the_levels(
    kind: str, per_tensor: bool, out: int, fan_in: int, seed: int, spread: float
) -> None:
    weight = _weight(out, fan_in, seed, spread)
    codes, scale = quantize_weight(weight, weight_kind(kind), per_tensor=per_tensor)
    assert codes.shape == weight.shape
    assert scale.shape == (out,)
    assert set(codes.int().flatten().tolist()) <= LEVELS[kind]
    assert bool(scale.isfinite().all())
    assert bool((scale > 0).all())
    if per_tensor:
        assert len(set(scale.tolist())) == 1


@pytest.mark.parametrize(
    ("kind", "gaussian_rms"),
    [
        ("ternary", 0.57),  # the published threshold is not the MSE-optimal one
        ("int1", 0.61),
        ("int2", 0.36),
        ("int3", 0.22),
        ("int4", 0.12),
        ("int8", 0.011),
        ("int16", 1e-4),
    ],
)
def test_error_on_gaussian_rows_is_near_the_optimum(kind: str, gaussian_rms: float) -> None:
    weight = _weight(32, 600)
    codes, scale = quantize_weight(weight, weight_kind(kind))
    error = (codes * scale[:, None] - weight).square().mean().sqrt() / weight.square().mean().sqrt()
    assert float(error) < gaussian_rms


@pytest.mark.parametrize("kind", ["int2", "int3", "int4"])
@pytest.mark.parametrize("fan_in", [9, 64, 640])
def test_scale_is_close_to_a_fine_grid_search(kind: str, fan_in: int) -> None:
    k = weight_kind(kind)
    weight = torch.distributions.StudentT(4.0).sample((64, fan_in))
    codes, scale = quantize_weight(weight, k)
    ours = (codes * scale[:, None] - weight).square().sum()
    peak = weight.abs().amax(1, keepdim=True) / k.top
    best = torch.full((64,), torch.inf)
    for ratio in np.linspace(0.1, 1.2, 60):
        s = peak * ratio
        q = 2 * (weight / (2 * s)).floor() + 1 if kind == "int2" else (weight / s).round()
        error = (q.clamp(-k.top, k.top) * s - weight).square().sum(1)
        best = torch.minimum(best, error)
    assert float(ours / best.sum()) < 1.25


@given(fan_in=st.integers(1, 3000), seed=st.integers(0, 100), flat=st.booleans())
def test_int16_codes_prove_an_int32_accumulator(fan_in: int, seed: int, flat: bool) -> None:
    weight = torch.ones(2, fan_in) * 0.3 if flat else _weight(2, fan_in, seed)
    codes, _ = quantize_weight(weight, weight_kind("int16"))
    assert int(codes.long().abs().sum(1).max()) * 255 <= 2**31 - 2**24


@pytest.mark.parametrize("spread", [0.02, 3.0])
def test_more_bits_lose_less_of_gaussian_rows(spread: float) -> None:
    weight = _weight(16, 300, spread=spread)
    errors = []
    for bits in range(1, 17):
        codes, scale = quantize_weight(weight, weight_kind(bits))
        errors.append(float((codes * scale[:, None] - weight).square().mean().sqrt()))
    assert all(b < 0.75 * a for a, b in pairwise(errors))


@pytest.mark.parametrize("bits", range(1, 17))
def test_any_width_travels_in_the_next_packed_one(bits: int) -> None:
    kind = weight_kind(bits)
    stored = next(width for width in (1, 2, 3, 4, 8, 16) if width >= bits)
    assert (kind.name, kind.bits, kind.stored_bits) == (f"int{bits}", bits, stored)
    assert kind.token == ("b1" if bits == 1 else f"s{stored}")


@given(
    value=st.sampled_from([-3.0, -1e-6, 1e-6, 0.7]),
    fan_in=st.integers(1, 40),
    noise=st.sampled_from([0.0, 0.1, 0.5]),
    per_tensor=st.booleans(),
)
def test_case_07_short_and_constant_ternary_rows_are_not_always_zero(
    value: float, fan_in: int, noise: float, per_tensor: bool
) -> None:
    weight = value * (1 + noise * torch.linspace(-1, 1, fan_in)).repeat(3, 1)
    codes, scale = quantize_weight(weight, weight_kind("ternary"), per_tensor=per_tensor)
    assert bool((codes == np.sign(value)).all())
    np.testing.assert_allclose(scale.numpy(), weight.abs().mean(1), rtol=1e-4)


@given(shift=st.floats(-0.9, 0.9), seed=st.integers(0, 99))
def test_case_07_a_ternary_row_is_centred_while_that_keeps_most_of_it(
    shift: float, seed: int
) -> None:
    row = _weight(1, 30, seed)
    row = (row - row.mean()) / row.std(unbiased=False)
    centred = quantize_weight(row, weight_kind("ternary"))
    moved = quantize_weight(row + shift, weight_kind("ternary"))
    assert bool((centred[0] == moved[0]).all())


def test_ternary_follows_the_published_formula() -> None:
    weight = _weight(4, 50)
    codes, alpha = quantize_weight(weight, weight_kind("ternary"), threshold=0.15)
    for row, row_codes, a in zip(weight.numpy(), codes.numpy(), alpha.numpy(), strict=True):
        centred = row - row.mean(dtype=np.float32)
        keep = np.abs(centred) >= 0.15 * np.abs(centred).mean()
        np.testing.assert_array_equal(row_codes, np.sign(centred) * keep)
        np.testing.assert_allclose(a, np.abs(centred[keep]).mean(), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_zeros_ships_nothing(kind: str) -> None:
    weight = torch.zeros(2, 6)
    weight[1] = 0.5
    weight[1, 0] = -0.25
    codes, scale = quantize_weight(weight, weight_kind(kind))
    assert float((codes[0] * scale[0]).abs().max()) < 1e-9
    if kind == "int1":
        assert set(codes[0].tolist()) == {1.0}  # sign(0) = +1


def test_integers_name_kinds_and_unknown_ones_are_refused() -> None:
    assert weight_kind(4) is KINDS["int4"]
    assert [weight_kind(k).token for k in ("ternary", 1, 2, 3, 4, 8, 16, "ptq")] == [
        "t2",
        "b1",
        "s2",
        "s3",
        "s4",
        "s8",
        "s16",
        "s8",
    ]
    for bad in (0, 17, -1, "int0", "int17", "float"):
        with pytest.raises(BadInput, match="choose one of"):
            weight_kind(bad)


def test_kinds_stored_wider_than_they_are_say_so() -> None:
    layers = [Linear(4, 4, kind) for kind in ("int6", "int6", "int9", "int8", "ternary", "int3")]
    assert Model(Sequential(*layers), (4,)).stored_wider == (
        "int6 weights (2 layers) are stored in 8 bits each",
        "int9 weights (1 layers) are stored in 16 bits each",
    )

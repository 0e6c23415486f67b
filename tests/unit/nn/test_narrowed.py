"""narrowed: fewer channels in every layer, the same input and classes, a model that exports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq import nn
from edgeq.errors import BadInput


def _audio() -> nn.Model:
    blocks = nn.depthwise_separable((16, 24), (2, 1), 8, kinds="ternary", pool=False)
    body = nn.Sequential(
        blocks,
        nn.Residual(nn.Sequential(*nn.separable_block(24, 24, "int4"))),
        nn.Residual(
            nn.Sequential(*nn.conv_block(24, 32, "int8")),
            nn.Sequential(*nn.conv_block(24, 32, "int8", kernel=1)),
        ),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, 20, "int4"),
        nn.LayerNorm(20),
        nn.ReLU(),
        nn.Linear(20, 5, "int8"),
    )
    return nn.Model(body, (1, 16, 16), ["a", "b", "c", "d", "e"], name="sounds")


def _widths(model: nn.Model) -> list[int]:
    return [m.weight.shape[0] for m in model.modules() if isinstance(m, nn.QuantLayer)]


def _kinds(model: nn.Model) -> list[str]:
    return [m.kind for m in model.modules() if isinstance(m, nn.QuantLayer)]


def test_by_hand() -> None:
    half = nn.narrowed(_audio(), 0.5)
    # stem, (dw, pw), (dw, pw), residual dw and pw, conv and shortcut, hidden, head
    assert _widths(_audio()) == [8, 8, 16, 16, 24, 24, 24, 32, 32, 20, 5]
    assert _widths(half) == [4, 4, 8, 8, 12, 12, 12, 16, 16, 12, 5]
    assert _kinds(half) == _kinds(_audio())
    assert half.input_shape == (1, 16, 16)
    assert half.class_names == ("a", "b", "c", "d", "e")
    assert half.name == "sounds_0.5"


@given(st.floats(0.01, 1.0))
def test_any_factor_makes_a_model_that_is_no_wider(factor: float) -> None:
    """The constructor of Model runs the shapes through the export's own passes."""
    narrow, wide = _widths(nn.narrowed(_audio(), factor)), _widths(_audio())
    assert all(4 <= n <= w for n, w in zip(narrow, wide, strict=True))
    assert narrow[-1] == wide[-1]


def test_one_is_the_same_architecture() -> None:
    assert nn.config_of(nn.narrowed(_audio(), 1.0).body) == nn.config_of(_audio().body)


def test_the_seed_decides_the_weights() -> None:
    first, again, other = (nn.narrowed(_audio(), 0.5, seed=s).state_dict() for s in (0, 0, 1))
    key = "body.0.0.weight"
    assert first[key].equal(again[key])
    assert not first[key].equal(other[key])


@pytest.mark.parametrize("factor", [0.0, -0.5, 1.5, float("nan")])
def test_factors_out_of_range(factor: float) -> None:
    with pytest.raises(BadInput, match="more than 0 and at most 1"):
        nn.narrowed(_audio(), factor)


def test_a_mixture_is_refused() -> None:
    experts = [nn.Linear(8, 3, kind) for kind in ("ternary", "int8")]
    mixture = nn.Mixture(experts, nn.PlainRouter(8, 2), ("ternary", "int8"))
    with pytest.raises(BadInput, match="narrow its experts"):
        nn.narrowed(nn.Model(mixture, (8,)), 0.5)


def test_a_model_whose_end_has_no_width_of_its_own_is_refused() -> None:
    body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Residual(nn.Conv2d(8, 8, 3, padding=1)))
    with pytest.raises(BadInput, match="must end in a Linear or Conv"):
        nn.narrowed(nn.Model(nn.Sequential(body, nn.GlobalAvgPool()), (1, 8, 8)), 0.5)

"""The energy model: linear in cycles, banded, labelled."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import BadInput
from edgeq.harness.energy import EnergyModel, modelled_energy


@given(st.integers(0, 2**40), st.floats(0.01, 5), st.floats(0, 0.9), st.floats(0, 10))
def test_bounds_and_label(cycles, nj, band, idle_s):
    energy = modelled_energy(cycles, EnergyModel(nj, band, idle_w=0.01), idle_s)
    assert energy.low_j <= energy.joules <= energy.high_j
    assert energy.joules == pytest.approx(cycles * nj * 1e-9 + idle_s * 0.01)
    assert energy.source == "modelled"


@pytest.mark.parametrize(
    "numbers", [(0, 0.1), (float("nan"), 0.1), (1, 1.0), (1, -0.1), (1, 0, -1)]
)
def test_impossible_models_are_refused(numbers):
    with pytest.raises(BadInput, match="energy model"):
        EnergyModel(*numbers)


def test_negative_time_is_refused():
    with pytest.raises(BadInput, match="neither may be negative"):
        modelled_energy(-1, EnergyModel(1, 0))

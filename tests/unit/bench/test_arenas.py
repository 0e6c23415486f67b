"""Arenas of the reference networks on a core with the DSP extension: held to their bounds."""

import pytest

from edgeq.bench.networks import NETWORKS, WIDTHS, compiled_network

MOST = {"kws": 17_500, "ic": 50_000, "vww": 48_000, "ad": 1_488, "sww": 9_500}
SMALL = ("ad", "sww")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "name", [n if n in SMALL else pytest.param(n, marks=pytest.mark.full) for n in NETWORKS]
)
def test_arena(name: str, width: str) -> None:
    """At its fullest step's bytes, so that no other placement is smaller."""
    plan = compiled_network(name, width, frozenset({"dsp"}))[0].plan
    assert plan.arena_bytes <= MOST[name]
    assert plan.arena_bytes == plan.lower_bound_bytes


def test_two_maps_of_kws_share_bytes() -> None:
    """Its largest maps, 8,000 bytes each, no longer stand side by side."""
    plan = compiled_network("kws", "int4", frozenset({"dsp"}))[0].plan
    assert plan.arena_bytes < 2 * 8_000
    assert len(plan.bands) == 4

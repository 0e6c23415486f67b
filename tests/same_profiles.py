"""Two profiles of one firmware on the virtual board agree, but for one cycle.

Its clock counts half cycles and a count may start in either half.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from edgeq.harness.record import SampleRecord


def check_same_records(ours: Sequence[SampleRecord], theirs: Sequence[SampleRecord]) -> None:
    """Equal record for record but for one cycle."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert replace(a, cycles=b.cycles, layer_cycles=b.layer_cycles) == b
        assert a.cycles == pytest.approx(b.cycles, abs=1)
        assert a.layer_cycles == pytest.approx(b.layer_cycles, abs=1)


def check_same_summaries(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal but for the line and one cycle."""
    apart = {"run", "trace", "link", "latency", "experts", "layers", "energy", "alone"}
    assert {k: v for k, v in one.items() if k not in apart} == {
        k: v for k, v in other.items() if k not in apart
    }
    for a, b in zip(one["experts"], other["experts"], strict=True):
        assert [a[k] for k in ("name", "count", "accuracy")] == [
            b[k] for k in ("name", "count", "accuracy")
        ]
    for a, b in zip(one["layers"], other["layers"], strict=True):
        assert (a["name"], a["count"]) == (b["name"], b["count"])
        assert a["cycles"] == pytest.approx(b["cycles"], abs=1.0)
    assert one["latency"]["max"] == pytest.approx(other["latency"]["max"], rel=1e-3)
    assert one["energy"]["joules_mean"] == pytest.approx(other["energy"]["joules_mean"], rel=1e-3)
    ours, theirs = (
        [(e["name"], e["accuracy"]) for e in s["alone"]["experts"]] for s in (one, other)
    )
    assert ours == theirs
    costs = (s["alone"]["mixture"]["cycles"] for s in (one, other))
    assert next(costs) == pytest.approx(next(costs), abs=1.0)

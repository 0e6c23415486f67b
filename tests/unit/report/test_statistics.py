"""Figures of samples against hand-computed cases, numpy and scikit-learn."""

import itertools
import statistics as stdlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.board import Energy, load_board
from edgeq.reporting import statistics

COUNTS = st.lists(st.integers(1, 2**32), min_size=1, max_size=60)
PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60)


def test_latency_of_five_samples_by_hand() -> None:
    found = statistics.latency([100, 200, 300, 400, 500], 100_000, "modelled")
    assert found.pop("unit") == "ms"
    assert found.pop("source") == "modelled"
    wanted = {"mean": 3.0, "std": 2**0.5, "p50": 3.0, "p95": 4.8, "p99": 4.96, "max": 5.0}
    assert found == pytest.approx(wanted)


@given(COUNTS)
def test_latency_is_ordered_and_in_milliseconds(cycles: list[int]) -> None:
    found = statistics.latency(cycles, 1000, "modelled")
    assert found["mean"] == pytest.approx(stdlib.fmean(cycles))
    assert found["std"] == pytest.approx(stdlib.pstdev(cycles), rel=1e-6, abs=1e-3)
    assert found["p50"] == pytest.approx(stdlib.median(cycles))
    order = [min(cycles), *(found[k] for k in ("p50", "p95", "p99", "max"))]
    assert all(a <= b * (1 + 1e-12) for a, b in itertools.pairwise(order))
    assert found["max"] == pytest.approx(max(cycles))


@pytest.mark.parametrize(("cycles", "source"), [([], "modelled"), ([0, 0], "none"), ([7], "none")])
def test_what_was_not_counted_has_no_latency(cycles: list[int], source: str) -> None:
    found = statistics.latency(cycles, 1000, source)
    assert found["source"] == source
    assert [found[key] for key in statistics.LATENCY_KEYS] == [None] * 6


@pytest.mark.full  # importing scikit-learn takes longer than all the rest here
@given(PAIRS)
def test_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    labels, predicted = np.array(pairs).T
    assert statistics.accuracy(labels, predicted) == metrics.accuracy_score(labels, predicted)
    wanted = metrics.f1_score(labels, predicted, average="macro", zero_division=0)
    assert statistics.macro_f1(labels, predicted) == pytest.approx(wanted)
    matrix = metrics.confusion_matrix(labels, predicted, labels=range(6)).tolist()
    assert statistics.confusion(labels, predicted, 6) == matrix


def test_macro_f1_by_hand() -> None:
    # class 0: 2 of 3 found, 1 intruder -> 2/3; class 1: 1 of 2, 1 intruder -> 1/2; class 2 absent
    labels, predicted = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0])
    assert statistics.macro_f1(labels, predicted) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_the_source_of_latency_is_never_better_than_the_evidence() -> None:
    virtual, qemu = load_board("virtual_m4"), load_board("qemu_mps2_an386")
    nucleo = load_board("nucleo_f446re")
    assert statistics.latency_source(virtual, [5]) == "modelled"
    assert statistics.latency_source(qemu, [5]) == "none"  # SysTick of QEMU counts host time
    assert statistics.latency_source(nucleo, [5]) == "unverified"
    assert statistics.latency_source(nucleo, [0, 0]) == "none"
    assert statistics.latency_source(None, [5]) == "unverified"
    proven = nucleo.model_copy(update={"evidence": "silicon"})
    assert statistics.latency_source(proven, [5]) == "silicon"


def test_energy_is_labelled_and_has_its_band() -> None:
    figures = Energy(
        volts=1.8, nj_per_cycle=0.5, nj_per_cycle_low=0.4, nj_per_cycle_high=0.8, source="a page"
    )
    found = statistics.energy([1_000_000, 3_000_000], figures, "modelled")
    assert (found["source"], found["kind"]) == ("modelled", "measured")
    assert found["joules_mean"] == pytest.approx(1e-3)
    assert found["band"] == pytest.approx([0.8e-3, 1.6e-3])
    for nothing in (
        statistics.energy([10], None, "modelled"),
        statistics.energy([10], figures, "none"),
        statistics.energy([], figures, "modelled"),
    ):
        assert (nothing["joules_mean"], nothing["band"], nothing["kind"]) == (None, None, None)


def test_uncertainty_apart_for_right_and_wrong() -> None:
    values, right = np.array([0.0, 1.0, 2.0, 5.0]), np.array([True, True, False, False])
    found = statistics.uncertainty(values, np.full(4, 0.5), right)
    assert (found["mean"], found["max"], found["confidence_mean"]) == (2.0, 5.0, 0.5)
    assert (found["mean_when_right"], found["mean_when_wrong"]) == (0.5, 3.5)
    assert statistics.uncertainty(values, values, values >= 0)["mean_when_wrong"] is None

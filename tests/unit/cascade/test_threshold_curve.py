"""The curve of a run: what every threshold would have done to its rows, and the shipped did."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from edgeq.harness.profile_summary import Curve
from edgeq.ir import Graph
from edgeq.ops.op import Array
from edgeq.passes.experts_alone import experts_alone
from edgeq.passes.freeze_cascade import with_thresholds
from edgeq.reference import run
from edgeq.reporting.run_rows import Costs, Rows
from edgeq.reporting.threshold_curve import curve_entry
from tests.factory import cascade_graph, input_rows, mixture_graph, smallest_mixture
from tests.unit.cascade.made import recorded

ROWS = 70


def found(graph: Graph, x: Array, labels: Array, counted: bool = True) -> dict[str, Any] | None:
    layers, records = recorded(graph, x, labels)
    costs = Costs(layers, None, 1000, None, counted)
    return curve_entry(Rows(graph, x, labels, None, records), costs, experts_alone(graph, x))


def case(*formats: str, signal: str = "gap") -> tuple[Graph, Array, Array]:
    kinds = formats or ("t2", "s8")
    graph = cascade_graph(np.random.default_rng(6), kinds, trunk="fc", signal=signal)
    x = input_rows(np.random.default_rng(7), graph, ROWS)
    return graph, x, np.random.default_rng(8).integers(0, 5, ROWS)


@pytest.mark.parametrize("signal", ["gap", "entropy"])
def test_the_shipped_point_is_what_the_board_did(signal: str) -> None:
    graph, x, labels = case(signal=signal)
    curve, answered = found(graph, x, labels), run(graph, x)
    _, records = recorded(graph, x, labels)
    assert curve is not None
    assert Curve.model_validate(curve).against == graph.nodes[-1].attrs.experts[-1].name
    assert curve["signal"] == signal
    shipped = curve["shipped"]
    assert shipped["accuracy"] == (answered.output.argmax(1) == labels).mean()
    assert shipped["cycles"] == pytest.approx(np.mean([r.cycles for r in records]))
    assert shipped["share"] == (answered.route == 1).mean()
    assert (curve["points"][0]["share"], curve["points"][-1]["share"]) == (1.0, 0.0)


def test_every_point_is_a_threshold_of_the_reference() -> None:
    graph, x, labels = case()
    curve = found(graph, x, labels)
    assert curve is not None
    points = curve["points"]
    assert (points[0]["share"], points[0]["disagreement"]) == (1.0, 0.0)
    assert points[-1]["share"] == 0.0
    assert all(a["share"] > b["share"] for a, b in pairwise(points))
    assert all(a["cycles"] > b["cycles"] for a, b in pairwise(points))
    tried = {}
    for limit in range(257):
        ran = run(with_thresholds(graph, [limit]), x)
        tried[(ran.route == 1).mean()] = (ran.output.argmax(1) == labels).mean()
    for point in points:
        assert point["accuracy"] == tried[point["share"]]


def test_three_stages_move_together() -> None:
    curve = found(*case("t2", "s4", "s8"))
    assert curve is not None
    assert curve["points"][0]["share"] == 1.0
    assert len(curve["points"]) > 2


def test_a_path_that_nobody_counted_has_no_curve() -> None:
    graph, x, labels = case()
    assert found(graph, x, labels, counted=False) is None
    always_first = with_thresholds(graph, [0])
    assert found(always_first, x, labels) is None, "the last stage never ran, no estimate"


def test_a_mixture_that_never_escalates_has_no_threshold() -> None:
    graph = smallest_mixture()
    x = input_rows(np.random.default_rng(1), graph, 20)
    assert graph.nodes[-1].attrs.router.rule != "escalation"
    assert found(graph, x, np.zeros(20, np.int64)) is None


def test_a_mixture_that_escalates() -> None:
    """At the safest threshold all but those without any doubt go to the most precise expert."""
    graph = mixture_graph(np.random.default_rng(3), rule="escalation")
    x = input_rows(np.random.default_rng(4), graph, ROWS)
    labels = np.random.default_rng(8).integers(0, 5, ROWS)
    curve, answered = found(graph, x, labels), run(graph, x)
    assert curve is not None
    assert curve["signal"] == "router's uncertainty"
    assert curve["shipped"]["accuracy"] == (answered.output.argmax(1) == labels).mean()
    precise = graph.nodes[-1].attrs.most_precise
    alone = experts_alone(graph, x)[precise].answers
    assert curve["points"][0]["accuracy"] == (alone == labels).mean()
    assert curve["points"][0]["disagreement"] == 0.0

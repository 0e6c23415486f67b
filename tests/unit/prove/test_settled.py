"""A row at a cascade's threshold may take another route in a form; any other row may not."""

import numpy as np
import pytest

from edgeq.passes.freeze_cascade import with_thresholds
from edgeq.prove.again import _held
from edgeq.prove.check import Check
from edgeq.prove.forms import form_check
from edgeq.prove.settled import MARGIN, settled
from edgeq.reference import run, run_all_stages
from tests.factory import cascade_graph, fc_graph, input_rows

GRAPH = cascade_graph(np.random.default_rng(4), ("t2", "s8"))
ROWS = input_rows(np.random.default_rng(1), GRAPH, 16)
GAPS = run_all_stages(GRAPH, ROWS).signals[:, 0]
AT = int(np.argmax([(np.abs(GAPS - gap) > MARGIN + 1).sum() for gap in GAPS]))  # of few neighbours
LIMITED = with_thresholds(GRAPH, (int(GAPS[AT]),))


def moved(row: int) -> Check:
    """The reference's own answers, but for a row that takes the other route."""
    wanted, stages = run(LIMITED, ROWS), run_all_stages(LIMITED, ROWS)
    route, output = wanted.route.copy(), wanted.output.copy()
    route[row] = 1 - route[row]
    output[row] = np.where(output[row] > 0, -128, 127)  # far from either stage's
    assert stages.outputs.shape[1] == 2
    return _held(form_check("onnx", wanted, output, route, 5, settled(LIMITED, ROWS)))


def test_which_rows_are_settled() -> None:
    found = settled(LIMITED, ROWS)
    far = np.abs(GAPS - GAPS[AT]) > MARGIN + 1
    assert found[far].all()
    assert not found[AT]
    assert settled(with_thresholds(GRAPH, (256,)), ROWS).all()
    plain = fc_graph(np.random.default_rng(0))
    assert settled(plain, input_rows(np.random.default_rng(0), plain, 4)).all()


def test_a_row_at_the_threshold_is_told_and_left_out() -> None:
    check = moved(AT)
    assert check.passed
    assert (check.mismatches, check.route_agreement, check.top1_agreement) == (1, 1.0, 1.0)
    assert check.said.endswith("1 whose signal lies at a threshold went the other way")


def test_another_row_is_not() -> None:
    far = int(np.argmax(np.abs(GAPS - GAPS[AT])))
    check = moved(far)
    assert not check.passed
    assert check.route_agreement == pytest.approx(15 / 16)
    assert "threshold" not in check.said


def test_nothing_is_shown_where_every_row_went_the_other_way() -> None:
    wanted = run(LIMITED, ROWS)
    route, nobody = 1 - wanted.route, np.zeros(len(ROWS), bool)
    check = _held(form_check("tflite", wanted, wanted.output, route, 5, nobody))
    assert not check.passed
    assert check.route_agreement is None
    assert "no route is comparable" in check.said

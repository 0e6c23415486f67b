"""ONNX's own node tests: as recorded in docs/measured, and a sample of them in C."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from edgeq.frontend.onnx_file import parse
from edgeq.frontend.onnx_loader import imported
from edgeq.passes.select_kernels import select_kernels
from edgeq.reference import quantize_rows
from tests import onnx_nodes
from tests.unit.emit import test_firmware as c

IN_C, ALWAYS = 40, 4
KEPT = json.loads(onnx_nodes.RECORD.read_text(encoding="utf-8"))


def all_cases() -> tuple[onnx_nodes.Case, ...]:
    """The table of onnx, whose own code warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return onnx_nodes.cases()


def test_the_record_is_what_the_cases_say() -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        made = onnx_nodes.record([onnx_nodes.judged(case) for case in all_cases()])
    assert made == KEPT, "run python -m tests.onnx_nodes"


def test_no_case_is_wrong() -> None:
    """What is not taken says so: no answer lies more than a step away."""
    assert KEPT["wrong"] == {}
    assert KEPT["right"] + len(KEPT["refused"]) == KEPT["counted"]
    assert KEPT["counted"] + sum(KEPT["skipped"].values()) == KEPT["cases"]


def right() -> list[onnx_nodes.Case]:
    """Cases that are right, evenly over their names."""
    found = [
        case
        for case in all_cases()
        if not onnx_nodes.skipped(case)
        and case.name not in KEPT["refused"]
        and case.name not in KEPT["wrong"]
    ]
    return found[:: max(len(found) // IN_C, 1)][:IN_C]


def assert_in_c(case: onnx_nodes.Case, folder: Path) -> None:
    found = imported(parse(onnx_nodes.wrapped(case), Path("/nowhere")), "node")
    with np.errstate(all="ignore"):
        graph = select_kernels(onnx_nodes.lowered(case, found), frozenset())
    x = quantize_rows(graph, onnx_nodes.rows_of(case, found))
    folder.mkdir()
    answers = c.answers(c.compiled(graph, folder, folder), graph, x)
    c.assert_equals_reference(graph, answers, x)


def test_a_few_cases_in_c(tmp_path: Path) -> None:
    for i, case in enumerate(right()[:: IN_C // ALWAYS]):
        assert_in_c(case, tmp_path / str(i))


@pytest.mark.full
def test_forty_cases_in_c(tmp_path: Path) -> None:
    for i, case in enumerate(right()):
        assert_in_c(case, tmp_path / str(i))

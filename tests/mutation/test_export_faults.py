"""Faults planted into an export's kernels: the page says what the record holds, a sample holds."""

from pathlib import Path

import pytest

from edgeq.toolchain.compiler import find_compiler
from tests.mutation import export_faults as faults

RECORD = faults.read()
SAMPLE = 2


def test_the_page_shows_the_record() -> None:
    assert faults.table(RECORD) in faults.PAGE.read_text(encoding="utf-8")


def test_what_was_not_caught_stands_on_the_page() -> None:
    page = faults.PAGE.read_text(encoding="utf-8")
    for kept in RECORD["compilers"].values():
        for one in kept.values():
            assert one["exit"] in (0, 6, 7)
            if one["exit"] == 0 and not faults.without_effect(one):
                assert " ".join(one["shown"].split()) in page


def test_equivalents_were_drawn_and_went_on() -> None:
    """Looked at by hand, so a line that changed is looked at again; a fault that fails is none."""
    drawn = list(RECORD["compilers"].values())
    for fault, reason in faults.equivalents().items():
        assert any(fault in kept for kept in drawn), "not drawn: tidy up"
        assert all(kept[fault]["exit"] == 0 for kept in drawn if fault in kept)
        assert len(reason) > 20


def test_every_planted_fault_ends_with_a_mismatch_or_a_compiler_that_refuses() -> None:
    same = faults.equivalents()
    for kept in RECORD["compilers"].values():
        counted = faults.planted(kept, same)
        assert len(counted) >= faults.FAULTS
        assert {one["exit"] for one in counted.values()} <= {6, 7}


def test_a_sample_of_the_record_is_found_again(tmp_path: Path) -> None:
    """The first faults of the draw that failed their proof, whose lines are as they were."""
    kept = RECORD["compilers"]["gcc"]
    if find_compiler("auto").kind != "gcc":
        pytest.skip("the sample is of arm-none-eabi-gcc, which is not here")
    used = {k for names in RECORD["kernels"].values() for k in names}
    drawn = [f for f in faults.drawn(used) if kept.get(f.id, {}).get("exit") == 6]
    assert len(drawn) >= SAMPLE
    for fault in drawn[:SAMPLE]:
        model = kept[fault.id]["model"]
        path = tmp_path / f"{model}.pt"
        faults.save(model, path)
        out = tmp_path / fault.id.replace(":", "-")
        code, words = faults.exported(fault, path, "gcc", out)
        assert code == 6, words
        assert not out.exists()

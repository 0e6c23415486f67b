"""A few hostile cases of every surface; in full, the recorded ones again."""

import re

import pytest

from tests.hostile import record
from tests.hostile.oracle import run_cases
from tests.hostile.surfaces import SURFACES

FEW, FIRST = 25, 1_000_000  # numbers that the recorded campaign does not reach
LEAST = 20_000


@pytest.mark.parametrize("name", SURFACES)
def test_no_hostile_input_does_harm(name: str) -> None:
    found = list(run_cases(SURFACES[name], 1, range(FIRST, FIRST + FEW)))
    assert len(found) == FEW
    assert [(each.index, each.fault) for each in found if each.fault] == []


@pytest.mark.parametrize("name", SURFACES)
def test_cases_are_neither_all_refused_nor_all_read(name: str) -> None:
    """A campaign whose every case dies at the door tests the door."""
    outcomes = record.read_record()["surfaces"][name]["outcomes"]
    cases = sum(outcomes.values())
    assert outcomes.get("ok", 0) > 0.03 * cases
    assert name in ("firmware_json", "firmware_link") or outcomes["ok"] < 0.8 * cases


def test_the_record_is_whole_and_free_of_faults() -> None:
    kept = record.read_record()
    assert set(kept["surfaces"]) == set(SURFACES)
    for name, each in kept["surfaces"].items():
        assert each["faults"] == [], name
        assert each["cases"] == sum(each["outcomes"].values()) >= LEAST, name
        assert set(each["outcomes"]) <= set(record.LETTERS), name
        assert len(each["sample"]) == record.SAMPLES, name
        assert re.fullmatch(r"[0-9a-f]{12}\+?", each["commit"].split("-")[-1].removeprefix("g"))
    assert set(kept["parser"]) == {"plain", "energy", "floats"}
    runs = sum(each["executions"] for each in kept["parser"].values())
    assert runs >= 10_000_000 or sum(each["seconds"] for each in kept["parser"].values()) >= 600


def test_table_and_record_agree() -> None:
    page = record.PAGE.read_text(encoding="utf-8")
    assert record.table(record.read_record()) in page


@pytest.mark.full
@pytest.mark.parametrize("name", SURFACES)
def test_recorded_cases_come_out_the_same(name: str) -> None:
    """Where outcomes moved on purpose: python -m tests.hostile --sample."""
    entry = record.read_record()["surfaces"][name]
    indices = record.sampled(entry["cases"])
    found = list(run_cases(SURFACES[name], entry["seed"], indices))
    assert [(each.index, each.fault) for each in found if each.fault] == []
    moved = [
        (each.index, each.result, wanted)
        for each, wanted in zip(found, entry["sample"], strict=True)
        if record.letter(each.result) != wanted
    ]
    assert moved == []

"""The audio front ends' costs: the bounds, and the record that docs/audio.md shows."""

import json
from typing import Any

import pytest

from tests import front_ends

MOST_CYCLES, MOST_FLASH, MOST_RAM, MOST_SHARE = 60_000, 6 * 1024, 4 * 1024, 0.4


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return json.loads(front_ends.RECORD.read_text())


def within_bounds(told: dict[str, Any]) -> bool:
    return (
        told["cycles"]["virtual_m4"] <= MOST_CYCLES
        and front_ends.flash_bytes(told) <= MOST_FLASH
        and front_ends.ram_bytes(told) <= MOST_RAM
        and front_ends.share(told, "nucleo_l4r5zi") <= MOST_SHARE
    )


def test_the_page_shows_the_record(record: dict[str, Any]) -> None:
    assert list(record["front_ends"]) == list(front_ends.CASES)
    assert front_ends.table(record) in front_ends.PAGE.read_text()


def test_512_points_and_40_bands_are_within_bounds(record: dict[str, Any]) -> None:
    told = record["front_ends"][front_ends.BOUNDED]
    assert within_bounds(told)
    for key in ("table_bytes", "arena_bytes"):
        assert not within_bounds(told | {key: told[key] + 2048})


@pytest.mark.full
def test_they_are_measured_as_recorded(record: dict[str, Any]) -> None:
    told, before = (
        front_ends.measured(front_ends.CASES[front_ends.BOUNDED]),
        record["front_ends"][front_ends.BOUNDED],
    )
    assert within_bounds(told)
    for key in ("table_bytes", "arena_bytes", "kept_bytes", "hop_bytes"):
        assert told[key] == before[key]
    assert told["code_bytes"] == pytest.approx(before["code_bytes"], rel=0.1)
    assert told["cycles"] == pytest.approx(before["cycles"], rel=0.01)

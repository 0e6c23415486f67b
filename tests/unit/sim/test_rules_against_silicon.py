"""The price table against cycle counts published for two boards (EDGEQ_DATA/cortex_m4_cycles)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeq.sim import rules_cortex_m4 as rules
from tests.hang import HANG_S

FIRST_LOAD_EXTRA = {"nucleo_l4r5zi": 1, "stm32f407_discovery": 0}


def counts_file() -> Path:
    folder = os.environ.get("EDGEQ_DATA")
    if not folder:
        pytest.skip("EDGEQ_DATA is not set: the published cycle counts are not at hand")
    path = Path(folder) / "cortex_m4_cycles" / "counts.json"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return path


def relative_errors(rows: list[dict]) -> list[float]:
    errors = []
    for row in rows:
        table = rules.prices(FIRST_LOAD_EXTRA[row["board"]])
        cycles = sum(table[name] * count for name, count in row["counts"].items()) / 2
        errors.append(abs(cycles / row["hardware_cycles"] - 1))
    return sorted(errors)


def test_rules_meet_the_published_counts():
    rows = json.loads(counts_file().read_text())["rows"]
    errors = relative_errors(rows)
    assert len(errors) >= 90
    assert sum(errors) / len(errors) <= 0.02
    assert errors[int(0.9 * len(errors))] <= 0.04


def test_every_published_class_has_a_price():
    meaning = json.loads(counts_file().read_text())["meaning"]
    assert set(meaning) <= set(rules.HALF_CYCLES)


def test_prices_are_printed_as_json():
    result = subprocess.run(
        [sys.executable, "-m", "edgeq.sim", "--rules", "cortex-m4", "--json"],
        capture_output=True, text=True, timeout=HANG_S, check=True,
    )  # fmt: skip
    answer = json.loads(result.stdout)
    assert answer["prices"] == {name: half / 2 for name, half in rules.HALF_CYCLES.items()}
    assert answer["board"] is None

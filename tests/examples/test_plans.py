"""examples/plans: the README's tables are the JSONs', word for word."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "plans"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plans", FOLDER / "plans.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RECORDED = sorted(FOLDER.glob("*.json"))


def test_the_tables_are_the_jsons() -> None:
    assert {file.stem for file in RECORDED} <= set(script().STUDIES)
    for file in RECORDED:
        assert script().table(json.loads(file.read_text())) in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: str(file.stem))
def test_its_verdicts_follow_from_its_numbers(file: Path) -> None:
    for claim in json.loads(file.read_text())["claims"]:
        assert claim["lower_loss"] == (claim["loss_interval"][1] < 0)
        saved = claim["saved"]["cycles"] >= 0.25 or claim["saved"]["weight_bytes"] >= 0.35
        wanted = claim["accuracy_interval"][0] > -0.02 and saved
        assert claim["no_worse_than_int8"] == wanted


def test_runs_of_one_width_are_said_by_their_length() -> None:
    assert script().in_short(["int8", "int4", "int4", "int4", "int8"]) == "int8, 3 int4, int8"

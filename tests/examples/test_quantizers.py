"""examples/quantizers: README and JSON agree, a run takes up where it was, a cell comes again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from edgeq import nn
from edgeq.errors import BadInput
from edgeq.reporting.markdown import END, START
from tests.neighbours import script

FOLDER = Path(__file__).parents[2] / "examples" / "quantizers"


@pytest.fixture(scope="module")
def study() -> Iterator[ModuleType]:
    with script(FOLDER, "quantizers") as module:
        yield module


def test_the_readme_holds_the_table_of_the_results(study: ModuleType) -> None:
    held = (FOLDER / "README.md").read_text().partition(START)[2].partition(END)[0]
    assert held.strip() == study.table_of(json.loads(study.RESULTS.read_text()))
    assert "| digits, 3 seeds | float |" in held
    assert held.count("\n| | int2 |") >= 1


def test_every_digits_cell_is_there_with_its_commit(study: ModuleType) -> None:
    held = study.Results().held["cells"]
    cells = [cell for cell in held if cell["data"] == "digits"]
    assert len(cells) == len(study.SEEDS) * (1 + 2 * len(study.KINDS))
    assert all(len(cell["commit"]) >= 12 for cell in cells)


@dataclass
class Part:
    """Models that need no training; `made` counts them."""

    made: list[tuple[str, str]]
    x: np.ndarray
    y: np.ndarray

    cluster = np.arange(20)

    def start(self) -> nn.Model:
        torch.manual_seed(0)
        return nn.Model(nn.Sequential(nn.Linear(4, 3, "ptq")), (4,))

    def quantised(self, kind: str, quantizer: str) -> nn.Model:
        self.made.append((kind, quantizer))
        torch.manual_seed(len(kind))
        return nn.Model(nn.Sequential(nn.Linear(4, 3, kind, quantizer=quantizer)), (4,))


def test_a_run_takes_up_where_it_was_stopped(study: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 4)).astype(np.float32), rng.integers(0, 3, 20)
    made: list[tuple[str, str]] = []
    fake = SimpleNamespace(NAME="digits", part=lambda _fold, _seed: Part(made, x, y))
    results = study.Results(tmp_path / "r.json")
    study.run(fake, results, (0,), (0,))
    assert made == list(study.variants())
    whole = json.loads((tmp_path / "r.json").read_text())
    some = {**whole, "cells": [c for c in whole["cells"] if c["kind"] != "int3"]}
    (tmp_path / "r.json").write_text(json.dumps(some))
    with pytest.raises(BadInput, match="lacks cells of digits, int3"):
        study.compared(some, "digits")
    made.clear()
    study.run(fake, study.Results(tmp_path / "r.json"), (0,), (0,))
    assert made == [("int3", "straight_through"), ("int3", "paretoq")]
    assert json.loads((tmp_path / "r.json").read_text())["cells"] == whole["cells"]
    right = study.compared(whole, "digits")["int3"]["paretoq"][0]
    (cell,) = [c for c in whole["cells"] if c["kind"] == "int3" and c["quantizer"] == "paretoq"]
    assert right == pytest.approx(cell["accuracy"], abs=1e-6)


@pytest.mark.full
def test_a_cell_comes_again(study: ModuleType) -> None:
    """Another machine rounds otherwise and ends elsewhere, but not far."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    with script(FOLDER, "digits_study") as digits:
        torch.set_num_threads(1)
        part = digits.part(0, 0)
        part.start()
        again = study.judged(part.quantised("int2", "paretoq"), part.x, part.y)
    kept = study.Results().cells()["digits", 0, 0, "int2", "paretoq"]
    assert again["accuracy"] == pytest.approx(kept["accuracy"], abs=0.02)
